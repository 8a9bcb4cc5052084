// What a step of Adam multiplies by; made by optim/adam-factors.wgsl, a row a parameter.
struct Factors {
  // 1 / loss scale; 0 where nothing is to change.
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

// A row as it is loaded, in vectors: on a software adapter a number by itself takes as long as a vector.
alias FactorRow = array<vec4f, 2>;

fn factorsIn(row: FactorRow) -> Factors {
  return Factors(
    row[0].x, row[0].y, row[0].z, row[0].w,
    row[1].x, row[1].y, row[1].z, row[1].w);
}
