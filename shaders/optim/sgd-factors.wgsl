// What a step of SGD multiplies by, parameter by parameter. One that does not move, and in a bad step every one, gets
// unscale 0.
//
// hypers: [groups] Hypers   rules: [P] u32, group·4 + decays·2 + moves   scale: [] f32   foundInfinity: [] u32
// factors: [P] Factors; one thread a parameter
// @use lib/sgd-factors
// @shape PARAMETERS
// @sample PARAMETERS=68

struct Hypers {
  lr: f32,
  decay: f32,
  gradientDecay: f32,
  momentum: f32,
}

@group(0) @binding(0) var<storage, read> hypers: array<Hypers>;
@group(0) @binding(1) var<storage, read> rules: array<u32>;
@group(0) @binding(2) var<storage, read> scale: f32;
@group(0) @binding(3) var<storage, read> foundInfinity: u32;
@group(0) @binding(4) var<storage, read_write> factors: array<Factors>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let parameter = workgroupIndex(group) * 64u + thread;
  if (parameter >= shape.PARAMETERS) { return; }
  let rule = rules[parameter];
  if ((rule & 1u) == 0u || foundInfinity != 0u) {
    factors[parameter].unscale = 0.0;
    return;
  }
  let hyper = hypers[rule / 4u];
  let decays = (rule & 2u) != 0u;
  factors[parameter] = Factors(
    1.0 / scale,
    select(1.0, hyper.decay, decays),
    select(0.0, hyper.gradientDecay, decays),
    hyper.momentum,
    hyper.lr,
    0.0, 0.0, 0.0,
  );
}
