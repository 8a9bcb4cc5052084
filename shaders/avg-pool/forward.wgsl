// y[n,p,q,c] = mean of x[n, p·STRIDE + r, q·STRIDE + s, c] over the pixels of the window inside the image
//
// x: [N,H,W,C]   y: [N,P,Q,C] storage type; C = 4·VECTORS
// Grid: one lane per vector of channels, whose rows share the columns of y; rows of y along the second axis, images along
// the third.
// @const LANES:u32 ROWS:u32 STRIDE:u32
// @shape H W P Q VECTORS WINDOW
// @sample LANES=8 ROWS=4 STRIDE=2 H=5 W=7 P=3 Q=4 VECTORS=3 WINDOW=2

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  if (channel >= shape.VECTORS) { return; }
  for (var q = thread / LANES; q < shape.Q; q += ROWS) {
    var sum = vec4f();
    var count = 0.0;
    for (var r = 0u; r < shape.WINDOW; r++) {
      var line = vec4f();
      for (var s = 0u; s < shape.WINDOW; s++) {
        let h = group.y * STRIDE + r;
        let w = q * STRIDE + s;
        if (h < shape.H && w < shape.W) {
          line += load4(x[((group.z * shape.H + h) * shape.W + w) * shape.VECTORS + channel]);
          count += 1.0;
        }
      }
      sum += line;
    }
    y[((group.z * shape.P + group.y) * shape.Q + q) * shape.VECTORS + channel] = store4(sum / count);
  }
}
