// What a step of RAdam multiplies by, parameter by parameter, and t, the count of its steps
//
//   t ← t + 1
//   r∞ = 2 / (1 − squareMomentum) − 1,  r = r∞ − 2t·squareMomentum^t / (1 − squareMomentum^t)
//   r > 5:  stepSize = lr·√((r − 4)(r − 2)r∞ / ((r∞ − 4)(r∞ − 2)r)) / (1 − momentum^t)
//           rootScale = 1 / √(1 − squareMomentum^t)
//   else:   stepSize = lr / (1 − momentum^t),  rootScale = 0
//
// A parameter that does not change keeps its t.
//
// hypers: [groups] Hypers   rules: [P] u32, group·4 + decays·2 + moves   scale: [] f32   foundInfinity: [] u32
// steps: [P] u32   factors: [P] Factors
// @use lib/radam-factors lib/optimizer-factors
// @shape PARAMETERS
// @sample PARAMETERS=68

struct Hypers {
  lr: f32,
  decay: f32,
  gradientDecay: f32,
  momentum: f32,
  dampening: f32,
  squareMomentum: f32,
  squareDampening: f32,
  epsilon: f32,
}

@group(0) @binding(0) var<storage, read> hypers: array<Hypers>;
@group(0) @binding(1) var<storage, read> rules: array<u32>;
@group(0) @binding(2) var<storage, read> scale: f32;
@group(0) @binding(3) var<storage, read> foundInfinity: u32;
@group(0) @binding(4) var<storage, read_write> steps: array<u32>;
@group(0) @binding(5) var<storage, read_write> factors: array<Factors>;

fn factorsOf(parameter: u32, hyper: Hypers, decays: bool) -> Factors {
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

// The terms q^j, j from 0 to length − 1, q = 1 − dampening: Σ q^j and Σ (2j + 1)·q^j.
//
// 1 − q^t is dampening·sum, and r is weighted / sum: the formula above takes two numbers of 2 / (1 − q) from one another
// whose difference is about t, and would leave r − 4 three digits in f32. Here every sum is of positive numbers.
struct Series {
  length: f32,
  sum: f32,
  weighted: f32,
}

fn series(dampening: f32, length: u32) -> Series {
  var result = Series(0.0, 0.0, 0.0);
  var doubled = Series(1.0, 1.0, 1.0);
  for (var left = length; left > 0u; left >>= 1u) {
    if ((left & 1u) != 0u) { result = joined(result, doubled, dampening); }
    doubled = joined(doubled, doubled, dampening);
  }
  return result;
}

// The terms of b behind those of a, where each is q^a.length times as large and its j larger by a.length. That power by
// way of its distance from 1: repeated squaring would double its error every time.
fn joined(a: Series, b: Series, dampening: f32) -> Series {
  let power = 1.0 - dampening * a.sum;
  return Series(
    a.length + b.length,
    a.sum + power * b.sum,
    a.weighted + power * (b.weighted + 2.0 * a.length * b.sum),
  );
}
