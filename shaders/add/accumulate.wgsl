// total[i] += x[i]
//
// x, total: [VECTORS] f32; one thread per vector of four
// @shape VECTORS
// @sample VECTORS=5

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> total: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < shape.VECTORS) {
    total[i] += x[i];
  }
}
