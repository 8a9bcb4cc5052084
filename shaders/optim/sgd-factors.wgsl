// Factors of a step of SGD for every parameter.
//
// hyperparameters: [groups] Hyperparameters   rules: [P] u32, group·4 + decays·2 + moves   scale: [] f32   foundInfinity: [] u32
// factors: [P] Factors
// @use lib/sgd-factors lib/optimizer-factors
// @shape PARAMETERS
// @sample PARAMETERS=68

struct Hyperparameters {
  lr: f32,
  decay: f32,
  gradientDecay: f32,
  momentum: f32,
}

@group(0) @binding(0) var<storage, read> hyperparameters: array<Hyperparameters>;
@group(0) @binding(1) var<storage, read> rules: array<u32>;
@group(0) @binding(2) var<storage, read> scale: f32;
@group(0) @binding(3) var<storage, read> foundInfinity: u32;
@group(0) @binding(4) var<storage, read_write> factors: array<Factors>;

fn factorsOf(parameter: u32, hyper: Hyperparameters, decays: bool) -> Factors {
  return Factors(
    1.0 / scale,
    select(1.0, hyper.decay, decays),
    select(0.0, hyper.gradientDecay, decays),
    hyper.momentum,
    hyper.lr,
    0.0, 0.0, 0.0,
  );
}
