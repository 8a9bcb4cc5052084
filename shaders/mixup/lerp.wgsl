// y[n,i] = x[p,i] + weight[n]·(x[n,i] - x[p,i]),  p = partner[n]
//
// x, y: [N,VECTORS] storage type, VECTORS vectors of four an item   partner: [N] u32, a permutation   weight: [N] f32
// one thread per vector; the grid's y is the item
// @shape VECTORS
// @sample VECTORS=5

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> partner: array<u32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= shape.VECTORS) { return; }
  let at = id.y * shape.VECTORS + id.x;
  let other = load4(x[partner[id.y] * shape.VECTORS + id.x]);
  y[at] = store4(other + weight[id.y] * (load4(x[at]) - other));
}
