// gradient ← gradient · factor; infinities and NaN stay, so that whoever looks for them still finds them
//
// gradients: [BLOCKS·128] f32   factor: [] f32; a workgroup four blocks, a thread two vectors of four
// @shape BLOCKS
// @sample BLOCKS=3

@group(0) @binding(0) var<storage, read> factor: f32;
@group(0) @binding(1) var<storage, read_write> gradients: array<vec4f>;

const EXPONENT = vec4u(0x7f800000u);

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let block = workgroupIndex(group) * 4u + thread / 16u;
  if (block >= shape.BLOCKS || factor == 1.0) { return; }
  let i = block * 32u + thread % 16u;
  shrink(i);
  shrink(i + 16u);
}

fn shrink(i: u32) {
  let g = gradients[i];
  let finite = (bitcast<vec4u>(g) & EXPONENT) != EXPONENT;
  gradients[i] = select(g, g * factor, finite);
}
