// foundInfinity = 1 if any gradient is Inf or NaN, for gradients that were not checked as they were written
//
// gradients: [BLOCKS·256] f32   foundInfinity: [] u32
// @use lib/blocks lib/overflow
// @shape BLOCKS TURNS
// @sample BLOCKS=3 TURNS=4

@group(0) @binding(0) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> foundInfinity: atomic<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let block = blockOf(group, thread);
  if (block >= shape.BLOCKS) { return; }
  var overflow = false;
  for (var turn = 0u; turn < shape.TURNS; turn++) { overflow |= isOverflow(gradients[vectorOf(block, thread, turn)]); }
  checkOverflow(overflow);
}
