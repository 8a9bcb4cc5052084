// Factors of a step of Adam for every parameter, and t, the number of its steps
//
//   t ← t + 1
//   stepSize = lr · √(1 − squareMomentum^t) / (1 − momentum^t),  epsilon = epsilon · √(1 − squareMomentum^t)
//
// which is m and v without their bias (arXiv:1412.6980, end of section 2). A parameter that does not change keeps its t.
//
// hyperparameters: [groups] Hyperparameters   rules: [P] u32, group·4 + decays·2 + moves   scale: [] f32   foundInfinity: [] u32
// steps: [P] u32   factors: [P] Factors
// @use lib/adam-factors lib/optimizer-factors lib/power-series
// @shape PARAMETERS
// @sample PARAMETERS=68

struct Hyperparameters {
  lr: f32,
  decay: f32,
  momentum: f32,
  dampening: f32,
  squareMomentum: f32,
  squareDampening: f32,
  epsilon: f32,
  unused: f32,
}

@group(0) @binding(0) var<storage, read> hyperparameters: array<Hyperparameters>;
@group(0) @binding(1) var<storage, read> rules: array<u32>;
@group(0) @binding(2) var<storage, read> scale: f32;
@group(0) @binding(3) var<storage, read> foundInfinity: u32;
@group(0) @binding(4) var<storage, read_write> steps: array<u32>;
@group(0) @binding(5) var<storage, read_write> factors: array<Factors>;

fn factorsOf(parameter: u32, hyper: Hyperparameters, decays: bool) -> Factors {
  let t = steps[parameter] + 1u;
  steps[parameter] = t;
  let squareDebias = sqrt(hyper.squareDampening * series(hyper.squareDampening, t).sum);
  return Factors(
    1.0 / scale,
    select(1.0, hyper.decay, decays),
    hyper.momentum,
    hyper.dampening,
    hyper.squareMomentum,
    hyper.squareDampening,
    hyper.lr * squareDebias / (hyper.dampening * series(hyper.dampening, t).sum),
    hyper.epsilon * squareDebias,
  );
}
