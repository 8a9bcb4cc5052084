// Depthwise convolution, gradient of the input as depthwise/backward-input computes it, without dilation, for processors:
//   dx[n,h,w,c] = Σ over r, s of  dy[n, (h + PAD - r) / STRIDE, (w + PAD - s) / STRIDE, c] · packed[r,s,c]
// over the taps for which both divisions come out even, inside dy.
//
// dy: [N,P,Q,C]   dx: [N,H,W,C] storage type   packed: [R,S,C] f32; C = 4·VECTORS. Sums are f32.
//
// A thread walks along EACH rows of dy as in depthwise/forward-walk. A column of dy is added to the S columns of dx that it
// reaches; the first STRIDE of them are then done, in the rows of dx that no later row of dy reaches.
//
// Measured in turns with depthwise/backward-input, llvmpipe, Mesa 25.0.7, f16, [16,64,64,96] 3×3 / 2: 2.7 times as fast.
//
// Grid: as of depthwise/forward-walk; along the second axis EACH·STRIDE rows of dx, the first of which is PAD above the image.
// @unroll everywhere
// @const LANES:u32 ROWS:u32 R:u32 S:u32 STRIDE:u32 EACH:u32
// @shape N H W P Q PAD VECTORS RUN FILTER_ROWS
// @sample LANES=8 ROWS=2 R=3 S=3 STRIDE=2 EACH=1 N=3 H=5 W=6 P=3 Q=3 PAD=1 VECTORS=3 RUN=2 FILTER_ROWS=3

@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read> packed: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

// Rows of dy before the first that reach the same rows of dx, and all rows of dy; rows of dx.
const BEFORE = (R - 1u) / STRIDE;
const TALL = BEFORE + EACH;
const HIGH = EACH * STRIDE;
const WINDOW = S + STRIDE - 1u;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  if (channel >= shape.VECTORS) { return; }
  var filters = array<vec4f, R * S>();
  for (var i = 0u; i < shape.FILTER_ROWS * S; i++) {
    for (var t = 0u; t < R * S - 1u; t++) { // @unroll
      filters[t] = filters[t + 1u];
    }
    filters[R * S - 1u] = packed[i * shape.VECTORS + channel];
  }
  let strips = (shape.H + shape.PAD + HIGH - 1u) / HIGH;
  let first = (group.y * ROWS + thread / LANES) * shape.RUN;
  for (var strip = first; strip < min(first + shape.RUN, shape.N * strips); strip++) {
    let n = strip / strips;
    let top = (strip - n * strips) * EACH;
    var sums = array<vec4f, HIGH * WINDOW>();
    for (var q = 0u; q * STRIDE < shape.W + shape.PAD; q++) {
      for (var k = 0u; k < TALL; k++) { // @unroll
        var stored = T4();
        // A row before dy wraps around to a large number.
        let p = top + k - BEFORE;
        if (p < shape.P && q < shape.Q) { stored = dy[((n * shape.P + p) * shape.Q + q) * shape.VECTORS + channel]; }
        let value = load4(stored);
        for (var j = 0u; j < HIGH; j++) { // @unroll
          let r = j + BEFORE * STRIDE - k * STRIDE;
          for (var s = 0u; s < S; s++) { // @unroll
            if (r < R) { sums[j * WINDOW + s] = fma(value, filters[r * S + s], sums[j * WINDOW + s]); }
          }
        }
      }
      for (var j = 0u; j < HIGH; j++) { // @unroll
        for (var d = 0u; d < STRIDE; d++) { // @unroll
          let h = top * STRIDE + j - shape.PAD;
          let w = q * STRIDE + d - shape.PAD;
          if (h < shape.H && w < shape.W) {
            dx[((n * shape.H + h) * shape.W + w) * shape.VECTORS + channel] = store4(sums[j * WINDOW + d]);
          }
        }
        for (var m = 0u; m < S - 1u; m++) { // @unroll
          sums[j * WINDOW + m] = sums[j * WINDOW + m + STRIDE];
        }
        for (var m = 0u; m < STRIDE; m++) { // @unroll
          sums[j * WINDOW + S - 1u + m] = vec4f();
        }
      }
    }
  }
}
