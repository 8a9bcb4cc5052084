// gradient ← gradient · factor; Inf and NaN stay, so that the overflow check finds them
//
// gradients: [BLOCKS·256] f32   factor: [] f32
// @use lib/blocks
// @shape BLOCKS TURNS
// @sample BLOCKS=3 TURNS=4

@group(0) @binding(0) var<storage, read> factor: f32;
@group(0) @binding(1) var<storage, read_write> gradients: array<vec4f>;

const EXPONENT = vec4u(0x7f800000u);

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let block = blockOf(group, thread);
  if (block >= shape.BLOCKS || factor == 1.0) { return; }
  for (var turn = 0u; turn < shape.TURNS; turn++) { shrink(vectorOf(block, thread, turn)); }
}

fn shrink(i: u32) {
  let g = gradients[i];
  let finite = (bitcast<vec4u>(g) & EXPONENT) != EXPONENT;
  gradients[i] = select(g, g * factor, finite);
}
