// y[n,p,c] = a[n,p,c] · b[n,c]; with PIXELS = 1, the product of two tensors of one shape
//
// a, y: [N,PIXELS,C]   b: [N,C] storage type; C = 4·VECTORS. One thread per vector of y, COUNT in all
// @shape COUNT PIXELS VECTORS
// @sample COUNT=210 PIXELS=35 VECTORS=3

@group(0) @binding(0) var<storage, read> a: array<T4>;
@group(0) @binding(1) var<storage, read> b: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < shape.COUNT) {
    var j = i;
    if (shape.PIXELS > 1u) { j = i / (shape.PIXELS * shape.VECTORS) * shape.VECTORS + i % shape.VECTORS; }
    y[i] = store4(load4(a[i]) * load4(b[j]));
  }
}
