// Depthwise convolution, gradient of the filters, in slices:
//   slices[k,r,s,c] = Σ over the pixels n, p, q of slice k of  dy[n,p,q,c] · x[n, p·STRIDE - PAD + r·DILATION, q·STRIDE - PAD + s·DILATION, c]
//
// x: [N,H,W,C]   dy: [N,P,Q,C] storage type   slices: [SLICES,R,S,C] f32; C = 4·VECTORS
// A slice has RUN rows of dy, of all images. A thread sums all taps of one row of the filter, and loads the pixels of a strip of
// TILE of them once.
//
// Grid: one lane per vector of channels, whose rows share the rows of a slice; rows of the filter along the second axis,
// slices along the third.
// @use lib/rows
// @const LANES:u32 ROWS:u32 S:u32 STRIDE:u32 DILATION:u32 TILE:u32
// @shape N H W P Q R PAD VECTORS RUN
// @sample LANES=8 ROWS=4 S=3 STRIDE=2 DILATION=1 TILE=4 N=3 H=5 W=6 P=3 Q=3 R=3 PAD=1 VECTORS=3 RUN=4

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> slices: array<vec4f>;

const SPAN = (TILE - 1u) * STRIDE + (S - 1u) * DILATION + 1u;
// Rows that are summed by themselves, so that few numbers are added to one sum (lib/long-sum).
const BLOCK = 2u;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  // No early return: every thread must reach the barriers.
  let column = min(channel, shape.VECTORS - 1u);
  let r = group.y;
  let end = min((group.z + 1u) * shape.RUN, shape.N * shape.P);
  var totals = array<vec4f, S>();
  for (var block = group.z * shape.RUN + thread / LANES; block < end; block += BLOCK * ROWS) {
    var sums = array<vec4f, S>();
    for (var row = block; row < min(block + BLOCK * ROWS, end); row += ROWS) {
      // A row or column before the image wraps around to a large number.
      let h = row % shape.P * STRIDE + r * DILATION - shape.PAD;
      if (h < shape.H) {
        let line = (row / shape.P * shape.H + h) * shape.W;
        for (var q = 0u; q < shape.Q; q += TILE) {
          let left = q * STRIDE - shape.PAD;
          var inputs = array<vec4f, SPAN>();
          for (var k = 0u; k < SPAN; k++) { // @unroll
            let w = left + k;
            inputs[k] = select(vec4f(), load4(x[(line + min(w, shape.W - 1u)) * shape.VECTORS + column]), w < shape.W);
          }
          for (var t = 0u; t < TILE; t++) { // @unroll
            let given = load4(dy[(row * shape.Q + min(q + t, shape.Q - 1u)) * shape.VECTORS + column]);
            let slope = select(vec4f(), given, q + t < shape.Q);
            for (var s = 0u; s < S; s++) { // @unroll
              sums[s] = fma(slope, inputs[t * STRIDE + s * DILATION], sums[s]);
            }
          }
        }
      }
    }
    for (var s = 0u; s < S; s++) { // @unroll
      totals[s] += sums[s];
    }
  }
  for (var s = 0u; s < S; s++) { // @unroll
    let total = sumRows(totals[s], thread);
    if (thread < LANES && channel < shape.VECTORS) {
      slices[((group.z * shape.R + r) * S + s) * shape.VECTORS + channel] = total;
    }
  }
}
