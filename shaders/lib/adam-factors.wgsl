// Factors of a step of Adam; computed by optim/adam-factors.wgsl, one row per parameter.
struct Factors {
  // 1 / loss scale; 0 if the step changes nothing.
  unscale: f32,
  // 1 - lr·weightDecay
  decay: f32,
  momentum: f32,
  // 1 - momentum
  dampening: f32,
  squareMomentum: f32,
  // 1 - squareMomentum
  squareDampening: f32,
  stepSize: f32,
  epsilon: f32,
}

// Stored form of a row, in vectors: on a software adapter loading one number takes as long as loading a vector.
alias FactorRow = array<vec4f, 2>;

fn factorsIn(row: FactorRow) -> Factors {
  return Factors(
    row[0].x, row[0].y, row[0].z, row[0].w,
    row[1].x, row[1].y, row[1].z, row[1].w);
}
