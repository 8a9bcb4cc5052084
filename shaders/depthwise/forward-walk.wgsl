// Depthwise convolution as depthwise/forward computes it, without dilation, for processors:
//   y[n,p,q,c] = Σ over r, s of  x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, c] · packed[r,s,c]  [+ bias[c] with BIAS = 1]
//
// x: [N,H,W,C]   y: [N,P,Q,C] storage type   packed: [R,S,C] f32   bias: [C] f32; C = 4·VECTORS. FLIPPED as in depthwise/forward.
//
// A thread has a vector of four channels, keeps its filter in registers, and walks along EACH rows of y at once: it loads each
// column of x above them once, and adds it to the sums of all columns of y that it belongs to, the oldest of which is then done.
// On llvmpipe a load is a branch and a copy per lane and number, written out: what counts is how many there are, and that the
// code of a loop fits the cache of decoded instructions, which twelve loads of half vectors do.
//
// Measured in turns with depthwise/forward, llvmpipe, Mesa 25.0.7, vectors of 512 bits, f16, batch 16: 2.9 times as fast for 3×3
// at 64×64×32, 2.7 at 32×32×144, 2.3 with stride 2, 5.2 for 7×7 at 32×32×96; it compiles in half the time.
//
// Grid: one lane per vector of channels; along the second axis groups of ROWS threads, each of which has RUN times EACH rows.
// @unroll everywhere
// @const LANES:u32 ROWS:u32 R:u32 S:u32 STRIDE:u32 EACH:u32
// @shape N H W P Q PAD VECTORS RUN FILTER_ROWS FLIPPED BIAS
// @sample LANES=8 ROWS=2 R=3 S=3 STRIDE=2 EACH=2 N=3 H=5 W=6 P=3 Q=3 PAD=1 VECTORS=3 RUN=2 FILTER_ROWS=3 FLIPPED=0 BIAS=1

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> packed: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<T4>;

// Rows of x above EACH rows of y, and columns of y that a column of x is added to.
const TALL = (EACH - 1u) * STRIDE + R;
const WINDOW = (S + STRIDE - 1u) / STRIDE;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  if (channel >= shape.VECTORS) { return; }
  // Moved on as they are loaded in one place, by a loop that ends at a number of the uniform, which no compiler unrolls: with seven
  // places a kernel of 7×7 takes twice as long to compile.
  var filters = array<vec4f, R * S>();
  for (var i = 0u; i < shape.FILTER_ROWS * S; i++) {
    for (var t = 0u; t < R * S - 1u; t++) { // @unroll
      filters[t] = filters[t + 1u];
    }
    filters[R * S - 1u] = packed[select(i, R * S - 1u - i, shape.FLIPPED == 1u) * shape.VECTORS + channel];
  }
  var start = vec4f();
  if (shape.BIAS == 1u) { start = bias[channel]; }
  let strips = (shape.P + EACH - 1u) / EACH;
  let first = (group.y * ROWS + thread / LANES) * shape.RUN;
  for (var strip = first; strip < min(first + shape.RUN, shape.N * strips); strip++) {
    let n = strip / strips;
    let p = (strip - n * strips) * EACH;
    var sums = array<vec4f, EACH * WINDOW>();
    for (var i = 0u; i < EACH * WINDOW; i++) { // @unroll
      sums[i] = start;
    }
    // From the first column of x on, if it is no later than the last that column 0 of y is made of.
    for (var q = min(shape.PAD / STRIDE, WINDOW - 1u); q < shape.Q + WINDOW - 1u; q++) {
      for (var d = 0u; d < STRIDE; d++) { // @unroll
        for (var k = 0u; k < TALL; k++) { // @unroll
          // A row or column before the image wraps around to a large number.
          let h = p * STRIDE + k - shape.PAD;
          let w = q * STRIDE + d - shape.PAD;
          // A lane that loads nothing costs next to nothing.
          var stored = T4();
          if (h < shape.H && w < shape.W) { stored = x[((n * shape.H + h) * shape.W + w) * shape.VECTORS + channel]; }
          let value = load4(stored);
          for (var e = 0u; e < EACH; e++) { // @unroll
            let r = k - e * STRIDE;
            for (var m = 0u; m < WINDOW; m++) { // @unroll
              let s = m * STRIDE + d;
              if (r < R && s < S) { sums[e * WINDOW + m] = fma(value, filters[r * S + s], sums[e * WINDOW + m]); }
            }
          }
        }
      }
      let done = q - (WINDOW - 1u);
      for (var e = 0u; e < EACH; e++) { // @unroll
        if (done < shape.Q && p + e < shape.P) {
          y[((n * shape.P + p + e) * shape.Q + done) * shape.VECTORS + channel] = store4(sums[e * WINDOW + WINDOW - 1u]);
        }
        for (var m = 0u; m < WINDOW - 1u; m++) { // @unroll
          sums[(e + 1u) * WINDOW - m - 1u] = sums[(e + 1u) * WINDOW - m - 2u];
        }
        sums[e * WINDOW] = start;
      }
    }
  }
}
