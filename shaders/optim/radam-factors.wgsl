// Factors of a step of RAdam for every parameter, and t, the number of its steps
//
//   t ← t + 1
//   r∞ = 2 / (1 − squareMomentum) − 1,  r = r∞ − 2t·squareMomentum^t / (1 − squareMomentum^t)
//   r > 5:  stepSize = lr·√((r − 4)(r − 2)r∞ / ((r∞ − 4)(r∞ − 2)r)) / (1 − momentum^t)
//           rootScale = 1 / √(1 − squareMomentum^t)
//   otherwise: stepSize = lr / (1 − momentum^t),  rootScale = 0
//
// A parameter that does not change keeps its t.
//
// hyperparameters: [groups] Hyperparameters   rules: [P] u32, group·4 + decays·2 + moves   scale: [] f32   foundInfinity: [] u32
// steps: [P] u32   factors: [P] Factors
// @use lib/radam-factors lib/optimizer-factors lib/power-series
// @shape PARAMETERS
// @sample PARAMETERS=68

struct Hyperparameters {
  lr: f32,
  decay: f32,
  gradientDecay: f32,
  momentum: f32,
  dampening: f32,
  squareMomentum: f32,
  squareDampening: f32,
  epsilon: f32,
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
  let squares = series(hyper.squareDampening, t);
  var stepSize = hyper.lr / (hyper.dampening * series(hyper.dampening, t).sum);
  var rootScale = 0.0;
  let last = 2.0 / hyper.squareDampening - 1.0;
  let r = squares.weighted / squares.sum;
  if (r > 5.0) {
    stepSize *= sqrt((r - 4.0) / (last - 4.0) * ((r - 2.0) / (last - 2.0)) * (last / r));
    rootScale = inverseSqrt(hyper.squareDampening * squares.sum);
  }
  return Factors(
    1.0 / scale,
    select(1.0, hyper.decay, decays),
    select(0.0, hyper.gradientDecay, decays),
    hyper.momentum,
    hyper.dampening,
    hyper.squareMomentum,
    hyper.squareDampening,
    stepSize,
    rootScale,
    hyper.epsilon,
    0.0, 0.0,
  );
}
