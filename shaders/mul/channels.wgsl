// y[p,c] = x[p,c] · scale[c]
//
// x, y: [PIXELS,C] storage type   scale: [C] f32; C = 4·VECTORS. One thread per vector of y, COUNT in all
// @shape COUNT VECTORS
// @sample COUNT=105 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> scale: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < shape.COUNT) {
    y[i] = store4(load4(x[i]) * scale[i % shape.VECTORS]);
  }
}
