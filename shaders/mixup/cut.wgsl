// y[n,p,q] = x[partner[n],p,q] inside the box, x[n,p,q] outside
//
// x, y: [N,P,Q,3] storage type, one vector of four per pixel   partner: [N] u32, a permutation
// box: [4] u32: top, left, bottom, right, the ends excluded; one thread per pixel; the grid's z is the item
// @shape P Q
// @sample P=5 Q=7

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> partner: array<u32>;
@group(0) @binding(2) var<storage, read> box: vec4u;
@group(0) @binding(3) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= shape.Q || id.y >= shape.P) { return; }
  let inside = all(id.yx >= box.xy) && all(id.yx < box.zw);
  let item = select(id.z, partner[id.z], inside);
  let at = id.y * shape.Q + id.x;
  let pixels = shape.P * shape.Q;
  y[id.z * pixels + at] = x[item * pixels + at];
}
