// y[i] = f32(x[i])
//
// x: [VECTORS] f16   y: [VECTORS] f32; one thread per vector of four. Launched with storage type f16.
// @shape VECTORS
// @sample VECTORS=5

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < shape.VECTORS) {
    y[i] = load4(x[i]);
  }
}
