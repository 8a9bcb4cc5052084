// What a step of RAdam multiplies by; made by optim/radam-factors.wgsl, a row a parameter.
struct Factors {
  // 1 / loss scale; 0 where nothing is to change.
  unscale: f32,
  // 1 - lr·weightDecay, or 1 where the decay is the gradient's
  decay: f32,
  // weightDecay where the decay is the gradient's, or 0
  gradientDecay: f32,
  momentum: f32,
  // 1 - momentum
  dampening: f32,
  squareMomentum: f32,
  // 1 - squareMomentum
  squareDampening: f32,
  stepSize: f32,
  // 1 / √(1 - squareMomentum^t); 0 while the averaged squares are left out
  rootScale: f32,
  epsilon: f32,
  unused0: f32,
  unused1: f32,
}
