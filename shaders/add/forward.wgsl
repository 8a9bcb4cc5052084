// y[i] = a[i] + b[i]
//
// a, b, y: [VECTORS] storage type; one thread per vector of four
// @shape VECTORS
// @sample VECTORS=5

@group(0) @binding(0) var<storage, read> a: array<T4>;
@group(0) @binding(1) var<storage, read> b: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < shape.VECTORS) {
    y[i] = store4(load4(a[i]) + load4(b[i]));
  }
}
