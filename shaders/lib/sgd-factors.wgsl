// What a step of SGD multiplies by; made by optim/sgd-factors.wgsl, a row a parameter.
struct Factors {
  // 1 / loss scale; 0 where nothing is to change.
  unscale: f32,
  // 1 - lr·weightDecay, or 1 where the decay is the gradient's
  decay: f32,
  // weightDecay where the decay is the gradient's, or 0
  gradientDecay: f32,
  momentum: f32,
  lr: f32,
  unused0: f32,
  unused1: f32,
  unused2: f32,
}
