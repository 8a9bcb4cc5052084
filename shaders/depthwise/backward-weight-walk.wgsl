// Depthwise convolution, gradient of the filters in slices as depthwise/backward-weight computes it, without dilation, for
// processors:
//   slices[k,r,s,c] = Σ over the pixels n, p, q of slice k of  dy[n,p,q,c] · x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, c]
//
// x: [N,H,W,C]   dy: [N,P,Q,C] storage type   slices: [SLICES,R,S,C] f32; C = 4·VECTORS
//
// A thread walks along EACH rows of dy as in depthwise/forward-walk, and loads each column of them and of x once: it keeps the
// last columns of dy, and the sums of the taps in TAPS rows of the filter. The sums of EACH rows are made by themselves, so that
// few numbers are added to one sum (lib/long-sum).
//
// Measured in turns with depthwise/backward-weight, llvmpipe, Mesa 25.0.7, f16, batch 16: 1.7 times as fast for 3×3 at 64×64×32,
// 1.9 at 32×32×144, 1.4 with stride 2; for 7×7 at 32×32×96 1.7 times with four rows of taps, 1.4 with all seven.
//
// Grid: as of depthwise/forward-walk; each thread has a slice of its own, of RUN times EACH rows of dy. Along the third axis
// TAPS rows of the filter.
// @unroll everywhere
// @const LANES:u32 ROWS:u32 TAPS:u32 S:u32 STRIDE:u32 EACH:u32
// @shape N H W P Q PAD VECTORS RUN R
// @sample LANES=8 ROWS=2 TAPS=2 S=3 STRIDE=2 EACH=1 N=3 H=5 W=6 P=3 Q=3 PAD=1 VECTORS=3 RUN=2 R=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> slices: array<vec4f>;

const TALL = (EACH - 1u) * STRIDE + TAPS;
const WINDOW = (S + STRIDE - 1u) / STRIDE;

fn slopeAt(n: u32, p: u32, q: u32, channel: u32) -> vec4f {
  var stored = T4();
  if (p < shape.P && q < shape.Q) { stored = dy[((n * shape.P + p) * shape.Q + q) * shape.VECTORS + channel]; }
  return load4(stored);
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  if (channel >= shape.VECTORS) { return; }
  let strips = (shape.P + EACH - 1u) / EACH;
  let top = group.z * TAPS;
  let slice = group.y * ROWS + thread / LANES;
  var totals = array<vec4f, TAPS * S>();
  for (var strip = slice * shape.RUN; strip < min((slice + 1u) * shape.RUN, shape.N * strips); strip++) {
    let n = strip / strips;
    let p = (strip - n * strips) * EACH;
    var sums = array<vec4f, TAPS * S>();
    // Slopes of column q - m of dy at m.
    var slopes = array<vec4f, EACH * WINDOW>();
    // Columns of dy beside no column of x, and then those of x.
    for (var q = 0u; q < shape.PAD / STRIDE; q++) {
      for (var e = 0u; e < EACH; e++) { // @unroll
        for (var m = 0u; m < WINDOW - 1u; m++) { // @unroll
          slopes[(e + 1u) * WINDOW - m - 1u] = slopes[(e + 1u) * WINDOW - m - 2u];
        }
        slopes[e * WINDOW] = slopeAt(n, p + e, q, channel);
      }
    }
    for (var q = shape.PAD / STRIDE; q * STRIDE < shape.W + shape.PAD; q++) {
      for (var e = 0u; e < EACH; e++) { // @unroll
        for (var m = 0u; m < WINDOW - 1u; m++) { // @unroll
          slopes[(e + 1u) * WINDOW - m - 1u] = slopes[(e + 1u) * WINDOW - m - 2u];
        }
        slopes[e * WINDOW] = slopeAt(n, p + e, q, channel);
      }
      for (var d = 0u; d < STRIDE; d++) { // @unroll
        for (var k = 0u; k < TALL; k++) { // @unroll
          // A row or column before the image wraps around to a large number.
          let h = p * STRIDE + top + k - shape.PAD;
          let w = q * STRIDE + d - shape.PAD;
          var stored = T4();
          if (h < shape.H && w < shape.W) { stored = x[((n * shape.H + h) * shape.W + w) * shape.VECTORS + channel]; }
          let value = load4(stored);
          for (var e = 0u; e < EACH; e++) { // @unroll
            let r = k - e * STRIDE;
            for (var m = 0u; m < WINDOW; m++) { // @unroll
              let s = m * STRIDE + d;
              if (r < TAPS && s < S) { sums[r * S + s] = fma(slopes[e * WINDOW + m], value, sums[r * S + s]); }
            }
          }
        }
      }
    }
    for (var i = 0u; i < TAPS * S; i++) { // @unroll
      totals[i] += sums[i];
    }
  }
  // Moved on as they are stored, as the filters are in depthwise/forward-walk.
  for (var tap = top * S; tap < min(top + TAPS, shape.R) * S; tap++) {
    slices[(slice * shape.R * S + tap) * shape.VECTORS + channel] = totals[0];
    for (var i = 0u; i < TAPS * S - 1u; i++) { // @unroll
      totals[i] = totals[i + 1u];
    }
  }
}
