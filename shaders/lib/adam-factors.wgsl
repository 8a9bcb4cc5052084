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
