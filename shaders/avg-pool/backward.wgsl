// dx[n,h,w,c] = Σ dy[n,p,q,c] / (pixels of the window inside the image) over the windows (p,q) that (h,w) is in
//
// dy: [N,P,Q,C]   dx: [N,H,W,C] storage type; C = 4·VECTORS
// Grid: one lane per vector of channels, whose rows share the columns of dx, each gathering from its windows; rows of dx
// along the second axis, images along the third.
// @const LANES:u32 ROWS:u32 STRIDE:u32
// @shape H W P Q VECTORS WINDOW
// @sample LANES=8 ROWS=4 STRIDE=2 H=5 W=7 P=3 Q=4 VECTORS=3 WINDOW=2

@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  if (channel >= shape.VECTORS) { return; }
  let h = group.y;
  for (var w = thread / LANES; w < shape.W; w += ROWS) {
    var sum = vec4f();
    // Position of the pixel in a window, and the window; one that would begin below zero wraps around.
    for (var r = h % STRIDE; r < shape.WINDOW; r += STRIDE) {
      var line = vec4f();
      for (var s = w % STRIDE; s < shape.WINDOW; s += STRIDE) {
        let p = (h - r) / STRIDE;
        let q = (w - s) / STRIDE;
        if (p < shape.P && q < shape.Q) {
          let count = min(shape.WINDOW, shape.H - p * STRIDE) * min(shape.WINDOW, shape.W - q * STRIDE);
          line += load4(dy[((group.z * shape.P + p) * shape.Q + q) * shape.VECTORS + channel]) / f32(count);
        }
      }
      sum += line;
    }
    dx[((group.z * shape.H + h) * shape.W + w) * shape.VECTORS + channel] = store4(sum);
  }
}
