// Convolution in groups as grouped-conv/forward computes it, without dilation and with few channels per group, for processors:
//   y[n,p,q,o] = Σ over r, s, c of  x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, g·C/GROUPS + c] · weight[o,r,s,c]
// With BACKWARD = 1 x is dy and y is dx: the filters are read from their end, and sums go over o in place of c. That is the
// gradient of the input at stride 1.
//
// x: [N,H,W,4·DEPTH·GROUPS]   y: [N,P,Q,4·VECTORS]   weight: [O,R,S,C/GROUPS] storage type. Sums are f32. A group has DEPTH vectors
// of four channels of x and OWN of y.
//
// A thread has a vector of four channels of y, keeps its filters in registers, and walks as in depthwise/forward-walk. Measured in
// turns, llvmpipe, Mesa 25.0.7, f16, [16,32,32,128] 3×3 in 32: 4.9 times as fast as grouped-conv/forward, 6.8 times as fast as
// grouped-conv/backward-input; 4.5 and 5.2 with eight channels per group.
//
// Grid: as of depthwise/forward-walk.
// @unroll everywhere
// @const LANES:u32 ROWS:u32 R:u32 S:u32 STRIDE:u32 EACH:u32 DEPTH:u32
// @shape N H W P Q PAD VECTORS OWN GROUPS RUN FILTER_ROWS BACKWARD
// @sample LANES=8 ROWS=2 R=3 S=3 STRIDE=1 EACH=2 DEPTH=1 N=3 H=5 W=6 P=5 Q=6 PAD=1 VECTORS=4 OWN=2 GROUPS=2 RUN=2 FILTER_ROWS=3 BACKWARD=0

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

const TALL = (EACH - 1u) * STRIDE + R;
const WINDOW = (S + STRIDE - 1u) / STRIDE;
// Vectors of a row of filters.
const ACROSS = S * DEPTH * 4u;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  if (channel >= shape.VECTORS) { return; }
  let backward = shape.BACKWARD == 1u;
  let g = channel / shape.OWN;
  // Tap by tap, the weights by which each channel of x is added to the four of y. The array moves on by a tap for each that is
  // loaded, since a loop compiles faster than a load for every tap.
  var filters = array<vec4f, R * ACROSS>();
  for (var i = 0u; i < shape.FILTER_ROWS * S * DEPTH; i++) {
    for (var r = 0u; r < R; r++) { // @unroll
      for (var k = 0u; k < ACROSS; k++) { // @unroll
        let next = r * ACROSS + k + 4u;
        if (next < R * ACROSS) { filters[next - 4u] = filters[next]; }
      }
    }
    let v = i % DEPTH;
    let tap = select(i / DEPTH, R * S - 1u - i / DEPTH, backward);
    let column = select(v, channel - g * shape.OWN, backward);
    var four = mat4x4f();
    for (var j = 0u; j < 4u; j++) { // @unroll
      let o = select(channel, g * DEPTH + v, backward) * 4u + j;
      four[j] = load4(weight[(o * (R * S) + tap) * select(DEPTH, shape.OWN, backward) + column]);
    }
    let turned = transpose(four);
    for (var j = 0u; j < 4u; j++) { // @unroll
      filters[R * ACROSS - 4u + j] = select(turned[j], four[j], backward);
    }
  }
  let strips = (shape.P + EACH - 1u) / EACH;
  let first = (group.y * ROWS + thread / LANES) * shape.RUN;
  for (var strip = first; strip < min(first + shape.RUN, shape.N * strips); strip++) {
    let n = strip / strips;
    let p = (strip - n * strips) * EACH;
    var sums = array<vec4f, EACH * WINDOW>();
    for (var q = min(shape.PAD / STRIDE, WINDOW - 1u); q < shape.Q + WINDOW - 1u; q++) {
      for (var d = 0u; d < STRIDE; d++) { // @unroll
        for (var k = 0u; k < TALL; k++) { // @unroll
          for (var v = 0u; v < DEPTH; v++) { // @unroll
            // A row or column before the image wraps around to a large number.
            let h = p * STRIDE + k - shape.PAD;
            let w = q * STRIDE + d - shape.PAD;
            var stored = T4();
            if (h < shape.H && w < shape.W) { stored = x[((n * shape.H + h) * shape.W + w) * (shape.GROUPS * DEPTH) + g * DEPTH + v]; }
            let value = load4(stored);
            for (var e = 0u; e < EACH; e++) { // @unroll
              let r = k - e * STRIDE;
              for (var m = 0u; m < WINDOW; m++) { // @unroll
                let s = m * STRIDE + d;
                if (r < R && s < S) {
                  let at = r * ACROSS + (s * DEPTH + v) * 4u;
                  sums[e * WINDOW + m] += filters[at] * value.x + filters[at + 1u] * value.y + filters[at + 2u] * value.z +
                    filters[at + 3u] * value.w;
                }
              }
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
        sums[e * WINDOW] = vec4f();
      }
    }
  }
}
