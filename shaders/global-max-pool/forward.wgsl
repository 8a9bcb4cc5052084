// y[n,c] = max over the pixels p of x[n,p,c];  places[n,c] = the first such p, or that of the last NaN
//
// x: [N,PIXELS,C]   y: [N,C] storage type   places: [N,VECTORS,4] u32; C = 4·VECTORS. One thread per vector of y
// @use lib/nan
// @shape N PIXELS VECTORS
// @sample N=3 PIXELS=35 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;
@group(0) @binding(2) var<storage, read_write> places: array<vec4u>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i >= shape.N * shape.VECTORS) { return; }
  let first = i / shape.VECTORS * shape.PIXELS * shape.VECTORS + i % shape.VECTORS;
  var largest = load4(x[first]);
  var place = vec4u();
  for (var p = 1u; p < shape.PIXELS; p++) {
    let value = load4(x[first + p * shape.VECTORS]);
    let better = exceeds(value, largest);
    largest = select(largest, value, better);
    place = select(place, vec4u(p), better);
  }
  y[i] = store4(largest);
  places[i] = place;
}
