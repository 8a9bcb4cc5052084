// dx[n,p,c] = dy[n,c] where p is places[n,c], otherwise 0
//
// dy: [N,C]   dx: [N,PIXELS,C] storage type   places: [N,VECTORS,4] u32, see forward.wgsl; C = 4·VECTORS
// One thread per vector of dy
// @shape N PIXELS VECTORS
// @sample N=3 PIXELS=35 VECTORS=3

@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read> places: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i >= shape.N * shape.VECTORS) { return; }
  let first = i / shape.VECTORS * shape.PIXELS * shape.VECTORS + i % shape.VECTORS;
  let gradient = load4(dy[i]);
  let place = places[i];
  for (var p = 0u; p < shape.PIXELS; p++) {
    dx[first + p * shape.VECTORS] = store4(select(vec4f(), gradient, place == vec4u(p)));
  }
}
