// foundInfinity = 1 when any gradient is an infinity or not a number, which its exponent bits tell
//
// gradients: [BLOCKS·256] f32, read as bits   foundInfinity: [] u32
// @use lib/blocks
// @shape BLOCKS
// @sample BLOCKS=3

@group(0) @binding(0) var<storage, read> gradients: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> foundInfinity: atomic<u32>;

const EXPONENT = vec4u(0x7f800000u);

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let block = blockOf(group, thread);
  if (block >= shape.BLOCKS) { return; }
  var bad = vec4<bool>();
  for (var turn = 0u; turn < TURNS; turn++) { bad |= (gradients[vectorOf(block, thread, turn)] & EXPONENT) == EXPONENT; }
  if (any(bad)) { atomicStore(&foundInfinity, 1u); }
}
