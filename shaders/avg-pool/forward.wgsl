// y[n,p,q,c] = mean of x[n, p·STRIDE + r, q·STRIDE + s, c] over the pixels of the window that there are
//
// x: [N,H,W,C]   y: [N,P,Q,C] storage type; C = 4·VECTORS
// Grid: one thread a vector of y, rows of y along the grid's second axis, images along its third.
// @const WINDOW:u32 STRIDE:u32
// @shape H W P Q VECTORS
// @sample WINDOW=2 STRIDE=2 H=5 W=7 P=3 Q=4 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= shape.Q * shape.VECTORS) { return; }
  let q = id.x / shape.VECTORS;
  let channel = id.x % shape.VECTORS;
  var sum = vec4f();
  var count = 0.0;
  for (var r = 0u; r < WINDOW; r++) {
    for (var s = 0u; s < WINDOW; s++) {
      let h = id.y * STRIDE + r;
      let w = q * STRIDE + s;
      if (h < shape.H && w < shape.W) {
        sum += load4(x[((id.z * shape.H + h) * shape.W + w) * shape.VECTORS + channel]);
        count += 1.0;
      }
    }
  }
  y[(id.z * shape.P + id.y) * shape.Q * shape.VECTORS + id.x] = store4(sum / count);
}
