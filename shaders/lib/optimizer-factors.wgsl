// What an optimizer's step multiplies by, parameter by parameter; a thread makes those of one. A parameter that does not
// move, and in a bad step every one, gets unscale 0.
//
// A kernel binds hypers [groups] Hypers, rules [P] u32, each group·4 + decays·2 + moves, foundInfinity [] u32 and
// factors [P] Factors, and says with factorsOf(parameter, hyper, decays) what they are.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let parameter = workgroupIndex(group) * 64u + thread;
  if (parameter >= shape.PARAMETERS) { return; }
  let rule = rules[parameter];
  if ((rule & 1u) == 0u || foundInfinity != 0u) {
    factors[parameter].unscale = 0.0;
    return;
  }
  factors[parameter] = factorsOf(parameter, hypers[rule / 4u], (rule & 2u) != 0u);
}
