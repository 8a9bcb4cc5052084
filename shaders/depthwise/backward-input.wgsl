// Depthwise convolution, gradient of the input for any stride:
//   dx[n,h,w,c] = Σ over r, s of  dy[n, (h + PAD - r·DILATION) / STRIDE, (w + PAD - s·DILATION) / STRIDE, c] · packed[r,s,c]
// over the taps for which both divisions come out even, inside dy.
//
// dy: [N,P,Q,C]   dx: [N,H,W,C] storage type   packed: [R,S,C] f32 (depthwise/pack); C = 4·VECTORS. Sums are f32.
// A thread has a vector of four channels and takes strips of TILE pixels of a row of dx, STRIDE apart, which have the same taps.
// At stride 1 depthwise/forward computes the same with fewer loads.
//
// Grid: one lane per vector of channels, whose rows share the strips of a row of dx; rows of dx along the second axis, images
// along the third.
// @const LANES:u32 ROWS:u32 STRIDE:u32 TILE:u32
// @shape H W P Q R S PAD DILATION VECTORS
// @sample LANES=8 ROWS=4 STRIDE=2 TILE=4 H=5 W=6 P=3 Q=3 R=3 S=3 PAD=1 DILATION=1 VECTORS=3

@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read> packed: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  if (channel >= shape.VECTORS) { return; }
  let h = group.y;
  let strips = (shape.W + STRIDE * TILE - 1u) / (STRIDE * TILE) * STRIDE;
  for (var strip = thread / LANES; strip < strips; strip += ROWS) {
    let first = strip / STRIDE * (STRIDE * TILE) + strip % STRIDE;
    var sums = array<vec4f, TILE>();
    for (var r = 0u; r < shape.R; r++) {
      // A row before dy wraps around to a large number.
      let a = h + shape.PAD - r * shape.DILATION;
      let p = a / STRIDE;
      if (a % STRIDE == 0u && p < shape.P) {
        let line = (group.z * shape.P + p) * shape.Q;
        for (var s = 0u; s < shape.S; s++) {
          // With a sign: of a strip that begins before dy, later pixels may be inside.
          let b = i32(first + shape.PAD) - i32(s * shape.DILATION);
          if (b % i32(STRIDE) == 0) {
            let weight = packed[(r * shape.S + s) * shape.VECTORS + channel];
            // A column before dy wraps around to a large number.
            let q = u32(b / i32(STRIDE));
            for (var t = 0u; t < TILE; t++) { // @unroll
              let value = load4(dy[(line + min(q + t, shape.Q - 1u)) * shape.VECTORS + channel]);
              sums[t] = fma(select(vec4f(), value, q + t < shape.Q), weight, sums[t]);
            }
          }
        }
      }
    }
    for (var t = 0u; t < TILE; t++) { // @unroll
      let w = first + t * STRIDE;
      if (w < shape.W) { dx[((group.z * shape.H + h) * shape.W + w) * shape.VECTORS + channel] = store4(sums[t]); }
    }
  }
}
