// Factors of a step of RAdam; computed by optim/radam-factors.wgsl, one row per parameter.
struct Factors {
  // 1 / loss scale; 0 if the step changes nothing.
  unscale: f32,
  // 1 - lr·weightDecay, or 1 if the decay is part of the gradient
  decay: f32,
  // weightDecay if the decay is part of the gradient, or 0
  gradientDecay: f32,
  momentum: f32,
  // 1 - momentum
  dampening: f32,
  squareMomentum: f32,
  // 1 - squareMomentum
  squareDampening: f32,
  stepSize: f32,
  // 1 / √(1 - squareMomentum^t); 0 while the average of squares is not used
  rootScale: f32,
  epsilon: f32,
  unused0: f32,
  unused1: f32,
}

// Stored form of a row, in vectors: on a software adapter loading one number takes as long as loading a vector.
alias FactorRow = array<vec4f, 3>;

fn factorsIn(row: FactorRow) -> Factors {
  return Factors(
    row[0].x, row[0].y, row[0].z, row[0].w,
    row[1].x, row[1].y, row[1].z, row[1].w,
    row[2].x, row[2].y, row[2].z, row[2].w);
}
