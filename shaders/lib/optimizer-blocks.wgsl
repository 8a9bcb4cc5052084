// An optimizer's step over a chunk of the parameters.
//
// A kernel binds owners [BLOCKS] u32, the parameter of each block, and factors [P] FactorRow, and declares
// update(i, factor), which updates vector i. The unscale of a parameter that must not change is 0.
//
// @use lib/blocks
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let block = blockOf(group, thread);
  if (block >= shape.BLOCKS) { return; }
  let factor = factorsIn(factors[owners[block]]);
  if (factor.unscale == 0.0) { return; }
  for (var turn = 0u; turn < shape.TURNS; turn++) { update(vectorOf(block, thread, turn), factor); }
}
