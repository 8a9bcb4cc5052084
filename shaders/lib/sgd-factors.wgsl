// Factors of a step of SGD; computed by optim/sgd-factors.wgsl, one row per parameter.
struct Factors {
  // 1 / loss scale; 0 if the step changes nothing.
  unscale: f32,
  // 1 - lr·weightDecay, or 1 if the decay is part of the gradient
  decay: f32,
  // weightDecay if the decay is part of the gradient, or 0
  gradientDecay: f32,
  momentum: f32,
  lr: f32,
  unused0: f32,
  unused1: f32,
  unused2: f32,
}

// Stored form of a row, in vectors: on a software adapter loading one number takes as long as loading a vector.
alias FactorRow = array<vec4f, 2>;

fn factorsIn(row: FactorRow) -> Factors {
  return Factors(
    row[0].x, row[0].y, row[0].z, row[0].w,
    row[1].x, row[1].y, row[1].z, row[1].w);
}
