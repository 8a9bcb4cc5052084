// y[i] = f16(x[i]), to nearest even; numbers that are too large become Inf
//
// x: [VECTORS] f32   y: [VECTORS] f16; one thread per vector of four. Launched with storage type f16.
// @shape VECTORS
// @sample VECTORS=5

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < shape.VECTORS) {
    y[i] = store4(x[i]);
  }
}
