// Convolution in groups, gradient of the weight in slices as grouped-conv/backward-weight computes it, without dilation and with
// vectors of four channels in one group, for processors:
//   slices[k,o,r,s,c] = Σ over the pixels n, p, q of slice k of  dy[n,p,q,o] · x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, g·C/GROUPS + c]
// with g the group of o.
//
// Measured in turns with grouped-conv/backward-weight, llvmpipe, Mesa 25.0.7, f16, [16,32,32,128] 3×3 in 32: 2.7 times as fast, and
// with stride 2 twice.
//
// x: [N,H,W,C]   dy: [N,P,Q,O] storage type   slices: [SLICES,O,R,S,C/GROUPS] f32; C = 4·DEPTH·GROUPS, O = 4·OWN·GROUPS.
//
// A thread has a row of four filters and a vector of four of their channels, and walks along EACH rows of dy as in
// depthwise/backward-weight-walk.
//
// Grid: one lane per vector of O and of the channels of its group, COLUMNS of them; along the second axis as in
// depthwise/backward-weight-walk; rows of the filter along the third.
// @unroll everywhere
// @const LANES:u32 ROWS:u32 S:u32 STRIDE:u32 EACH:u32
// @shape N H W P Q R PAD COLUMNS DEPTH OWN GROUPS RUN FILTER_COLUMNS
// @sample LANES=8 ROWS=2 S=3 STRIDE=2 EACH=1 N=3 H=5 W=6 P=3 Q=3 R=3 PAD=1 COLUMNS=8 DEPTH=2 OWN=1 GROUPS=4 RUN=2 FILTER_COLUMNS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> slices: array<vec4f>;

const WINDOW = (S + STRIDE - 1u) / STRIDE;

fn slopeAt(n: u32, p: u32, q: u32, out: u32) -> vec4f {
  var stored = T4();
  if (p < shape.P && q < shape.Q) { stored = dy[((n * shape.P + p) * shape.Q + q) * (shape.OWN * shape.GROUPS) + out]; }
  return load4(stored);
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let column = group.x * LANES + thread % LANES;
  if (column >= shape.COLUMNS) { return; }
  let out = column / shape.DEPTH;
  let v = column - out * shape.DEPTH;
  let channel = out / shape.OWN * shape.DEPTH + v;
  let strips = (shape.P + EACH - 1u) / EACH;
  let r = group.z;
  let slice = group.y * ROWS + thread / LANES;
  // Four per tap, one per filter.
  var totals = array<vec4f, S * 4u>();
  for (var strip = slice * shape.RUN; strip < min((slice + 1u) * shape.RUN, shape.N * strips); strip++) {
    let n = strip / strips;
    let p = (strip - n * strips) * EACH;
    var sums = array<vec4f, S * 4u>();
    // Slopes of column q - m of dy at m.
    var slopes = array<vec4f, EACH * WINDOW>();
    for (var q = 0u; q < shape.PAD / STRIDE; q++) {
      for (var e = 0u; e < EACH; e++) { // @unroll
        for (var m = 0u; m < WINDOW - 1u; m++) { // @unroll
          slopes[(e + 1u) * WINDOW - m - 1u] = slopes[(e + 1u) * WINDOW - m - 2u];
        }
        slopes[e * WINDOW] = slopeAt(n, p + e, q, out);
      }
    }
    for (var q = shape.PAD / STRIDE; q * STRIDE < shape.W + shape.PAD; q++) {
      for (var e = 0u; e < EACH; e++) { // @unroll
        for (var m = 0u; m < WINDOW - 1u; m++) { // @unroll
          slopes[(e + 1u) * WINDOW - m - 1u] = slopes[(e + 1u) * WINDOW - m - 2u];
        }
        slopes[e * WINDOW] = slopeAt(n, p + e, q, out);
      }
      for (var d = 0u; d < STRIDE; d++) { // @unroll
        for (var e = 0u; e < EACH; e++) { // @unroll
          // A row or column before the image wraps around to a large number.
          let h = (p + e) * STRIDE + r - shape.PAD;
          let w = q * STRIDE + d - shape.PAD;
          var stored = T4();
          if (h < shape.H && w < shape.W) { stored = x[((n * shape.H + h) * shape.W + w) * (shape.DEPTH * shape.GROUPS) + channel]; }
          let value = load4(stored);
          for (var m = 0u; m < WINDOW; m++) { // @unroll
            let s = m * STRIDE + d;
            if (s < S) {
              let slope = slopes[e * WINDOW + m];
              for (var j = 0u; j < 4u; j++) { // @unroll
                sums[s * 4u + j] = fma(vec4f(slope[j]), value, sums[s * 4u + j]);
              }
            }
          }
        }
      }
    }
    for (var i = 0u; i < S * 4u; i++) { // @unroll
      totals[i] += sums[i];
    }
  }
  // Tap by tap, moved on as they are stored, since a loop compiles faster.
  for (var s = 0u; s < shape.FILTER_COLUMNS; s++) {
    for (var j = 0u; j < 4u; j++) { // @unroll
      slices[((((slice * shape.OWN * shape.GROUPS + out) * 4u + j) * shape.R + r) * S + s) * shape.DEPTH + v] = totals[j];
    }
    for (var i = 0u; i < (S - 1u) * 4u; i++) { // @unroll
      totals[i] = totals[i + 4u];
    }
  }
}
