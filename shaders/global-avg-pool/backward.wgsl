// dx[n,p,c] = dy[n,c] / PIXELS
//
// dy: [N,C]   dx: [N,PIXELS,C] storage type; C = 4·VECTORS. One thread per vector of dy
// @shape N PIXELS VECTORS
// @sample N=3 PIXELS=35 VECTORS=3

@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i >= shape.N * shape.VECTORS) { return; }
  let first = i / shape.VECTORS * shape.PIXELS * shape.VECTORS + i % shape.VECTORS;
  let each = store4(load4(dy[i]) / f32(shape.PIXELS));
  for (var p = 0u; p < shape.PIXELS; p++) {
    dx[first + p * shape.VECTORS] = each;
  }
}
