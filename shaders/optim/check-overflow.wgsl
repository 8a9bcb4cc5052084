// foundInfinity = 1 when any gradient is an infinity or not a number, which its exponent bits tell
//
// gradients: [BLOCKS·128] f32, read as bits   foundInfinity: [] u32; a workgroup four blocks, a thread two vectors of four
// @shape BLOCKS
// @sample BLOCKS=3

@group(0) @binding(0) var<storage, read> gradients: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> foundInfinity: atomic<u32>;

const EXPONENT = vec4u(0x7f800000u);

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let block = workgroupIndex(group) * 4u + thread / 16u;
  if (block < shape.BLOCKS) {
    let i = block * 32u + thread % 16u;
    let first = (gradients[i] & EXPONENT) == EXPONENT;
    let second = (gradients[i + 16u] & EXPONENT) == EXPONENT;
    if (any(first | second)) {
      atomicStore(&foundInfinity, 1u);
    }
  }
}
