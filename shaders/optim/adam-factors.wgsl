// What Adam's step multiplies by, parameter by parameter, and t, the count of its steps
//
//   t ← t + 1
//   stepSize = lr · √(1 − squareMomentum^t) / (1 − momentum^t),  epsilon = epsilon · √(1 − squareMomentum^t)
//
// which is m and v without their bias (arXiv:1412.6980, end of section 2). A parameter that does not move, and in a bad
// step every one, gets unscale 0 and keeps its t.
//
// hypers: [groups] Hypers   rules: [P] u32, group·4 + decays·2 + moves   scale: [] f32   foundInfinity: [] u32
// steps: [P] u32   factors: [P] Factors; one thread a parameter
// @use lib/adam-factors
// @shape PARAMETERS
// @sample PARAMETERS=68

struct Hypers {
  lr: f32,
  decay: f32,
  momentum: f32,
  dampening: f32,
  squareMomentum: f32,
  squareDampening: f32,
  epsilon: f32,
  unused: f32,
}

@group(0) @binding(0) var<storage, read> hypers: array<Hypers>;
@group(0) @binding(1) var<storage, read> rules: array<u32>;
@group(0) @binding(2) var<storage, read> scale: f32;
@group(0) @binding(3) var<storage, read> foundInfinity: u32;
@group(0) @binding(4) var<storage, read_write> steps: array<u32>;
@group(0) @binding(5) var<storage, read_write> factors: array<Factors>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let parameter = workgroupIndex(group) * 64u + thread;
  if (parameter >= shape.PARAMETERS) { return; }
  let rule = rules[parameter];
  if ((rule & 1u) == 0u || foundInfinity != 0u) {
    factors[parameter].unscale = 0.0;
    return;
  }
  let t = steps[parameter] + 1u;
  steps[parameter] = t;
  let hyper = hypers[rule / 4u];
  let squareDebias = sqrt(1.0 - power(hyper.squareMomentum, t));
  factors[parameter] = Factors(
    1.0 / scale,
    select(1.0, hyper.decay, (rule & 2u) != 0u),
    hyper.momentum,
    hyper.dampening,
    hyper.squareMomentum,
    hyper.squareDampening,
    hyper.lr * squareDebias / (1.0 - power(hyper.momentum, t)),
    hyper.epsilon * squareDebias,
  );
}

// By squaring: pow() may be off by more than 1 − base^t can bear when t is small.
fn power(base: f32, exponent: u32) -> f32 {
  var result = 1.0;
  var square = base;
  for (var left = exponent; left > 0u; left >>= 1u) {
    if ((left & 1u) != 0u) { result *= square; }
    square *= square;
  }
  return result;
}
