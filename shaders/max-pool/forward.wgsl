// y[n,p,q,c] = max over the window of x[n, p·STRIDE + r - PAD, q·STRIDE + s - PAD, c], pixels outside do not count
// places[n,p,q,c] = r·WINDOW + s of the first such maximum, or of the last NaN, four channels to a u32
//
// x: [N,H,W,C]   y: [N,P,Q,C] storage type   places: [N,P,Q,C/4] u32; C = 4·VECTORS
// Grid: one lane per vector of channels, whose rows share the columns of y; rows of y along the second axis, images along
// the third.
// @use lib/nan
// @const LANES:u32 ROWS:u32 STRIDE:u32 PAD:u32
// @shape H W P Q VECTORS WINDOW
// @sample LANES=8 ROWS=4 STRIDE=2 PAD=1 H=5 W=7 P=3 Q=4 VECTORS=3 WINDOW=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;
@group(0) @binding(2) var<storage, read_write> places: array<u32>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  if (channel >= shape.VECTORS) { return; }
  for (var q = thread / LANES; q < shape.Q; q += ROWS) {
    var best = vec4f();
    var place = vec4u();
    var found = false;
    for (var r = 0u; r < shape.WINDOW; r++) {
      for (var s = 0u; s < shape.WINDOW; s++) {
        // Below zero wraps around to far beyond the last pixel.
        let h = group.y * STRIDE + r - PAD;
        let w = q * STRIDE + s - PAD;
        if (h < shape.H && w < shape.W) {
          let value = load4(x[((group.z * shape.H + h) * shape.W + w) * shape.VECTORS + channel]);
          let better = exceeds(value, best) | vec4<bool>(!found);
          best = select(best, value, better);
          place = select(place, vec4u(r * shape.WINDOW + s), better);
          found = true;
        }
      }
    }
    let i = ((group.z * shape.P + group.y) * shape.Q + q) * shape.VECTORS + channel;
    y[i] = store4(best);
    places[i] = place.x | (place.y << 8u) | (place.z << 16u) | (place.w << 24u);
  }
}
