// Factors of an optimizer's step, one row per parameter, each made by one thread. A parameter that does not move gets
// unscale 0, and in a skipped step every parameter does.
//
// A kernel binds hyperparameters [groups] Hyperparameters, rules [P] u32 (see the constants), foundInfinity [] u32 and factors [P] Factors,
// and computes one row in factorsOf(parameter, hyper, decays).

// Packed rule of a parameter, as src/optim/flat-optimizer.ts writes it.
const RULE_MOVES = 1u;
const RULE_DECAYS = 2u;
const RULE_GROUP_SHIFT = 2u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let parameter = workgroupIndex(group) * 64u + thread;
  if (parameter >= shape.PARAMETERS) { return; }
  let rule = rules[parameter];
  if ((rule & RULE_MOVES) == 0u || foundInfinity != 0u) {
    factors[parameter].unscale = 0.0;
    return;
  }
  factors[parameter] = factorsOf(parameter, hyperparameters[rule >> RULE_GROUP_SHIFT], (rule & RULE_DECAYS) != 0u);
}
