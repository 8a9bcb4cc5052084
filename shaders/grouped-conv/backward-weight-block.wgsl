// Convolution in groups, gradient of the weight in slices as grouped-conv/backward-weight computes it, without dilation and with
// vectors of four channels in one group, for GPUs:
//   slices[k,o,r,s,c] = Σ over the pixels n, p, q of slice k of  dy[n,p,q,o] · x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, g·C/GROUPS + c]
// with g the group of o.
//
// x: [N,H,W,C]   dy: [N,P,Q,O] storage type   slices: [SLICES,O,R,S,C/GROUPS] f32; C = 4·DEPTH·GROUPS, O = 4·OWN·GROUPS.
//
// A thread has TAPS rows of four filters and a vector of four of their channels, and goes down RUN blocks of DOWN · ACROSS pixels of
// dy as in depthwise/backward-weight-block.
//
// Grid: groups of LANES of the COLUMNS vectors of O and channels of their group; slices along the second axis, rows of the filter
// along the third.
// @use lib/block-sums
// @const LANES:u32 ROWS:u32 TAPS:u32 S:u32 STRIDE:u32 ACROSS:u32
// @shape N H W P Q R PAD COLUMNS DEPTH OWN GROUPS DOWN RUN
// @sample LANES=4 ROWS=8 TAPS=2 S=3 STRIDE=2 ACROSS=2 N=3 H=5 W=6 P=3 Q=3 R=3 PAD=1 COLUMNS=8 DEPTH=2 OWN=1 GROUPS=4 DOWN=2 RUN=2

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> slices: array<vec4f>;

const WINDOW = (TAPS + STRIDE - 1u) / STRIDE;
const SPAN = (ACROSS - 1u) * STRIDE + S;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  // No early return: every thread must reach the barriers.
  let column = min(group.x * LANES + thread % LANES, shape.COLUMNS - 1u);
  let out = column / shape.DEPTH;
  let channel = out / shape.OWN * shape.DEPTH + column % shape.DEPTH;
  let top = group.z * TAPS;
  let across = (shape.Q + ACROSS - 1u) / ACROSS;
  let down = (shape.P + shape.DOWN - 1u) / shape.DOWN;
  // Four per tap, one per filter.
  var sums = array<vec4f, TAPS * S * 4u>();
  for (var run = 0u; run < shape.RUN; run++) {
    let block = (group.y * shape.RUN + run) * ROWS + thread / LANES;
    if (block >= shape.N * down * across) { break; }
    let n = block / (down * across);
    let first = block / across % down * shape.DOWN;
    let q = block % across * ACROSS;
    // A row or column before the image wraps around to a large number.
    let left = q * STRIDE - shape.PAD;
    let end = min(first + shape.DOWN, shape.P);
    // Row p of dy is at p % WINDOW, counted from the first.
    var slopes = array<vec4f, WINDOW * ACROSS>();
    for (var begin = first; begin < end + WINDOW - 1u; begin += WINDOW) {
      for (var turn = 0u; turn < WINDOW; turn++) { // @unroll
        let p = begin + turn;
        for (var t = 0u; t < ACROSS; t++) { // @unroll
          let row = (n * shape.P + min(p, shape.P - 1u)) * shape.Q;
          let stored = dy[(row + min(q + t, shape.Q - 1u)) * (shape.OWN * shape.GROUPS) + out];
          slopes[turn * ACROSS + t] = load4(select(T4(), stored, p < end && q + t < shape.Q));
        }
        for (var d = 0u; d < STRIDE; d++) { // @unroll
          let h = p * STRIDE + top + d - shape.PAD;
          let line = (n * shape.H + min(h, shape.H - 1u)) * shape.W;
          var values = array<vec4f, SPAN>();
          for (var j = 0u; j < SPAN; j++) { // @unroll
            let w = left + j;
            let stored = x[(line + min(w, shape.W - 1u)) * (shape.GROUPS * shape.DEPTH) + channel];
            values[j] = load4(select(T4(), stored, h < shape.H && w < shape.W));
          }
          for (var m = 0u; m < WINDOW; m++) { // @unroll
            let r = m * STRIDE + d;
            let row = (turn + WINDOW - m) % WINDOW * ACROSS;
            if (r < TAPS) {
              for (var t = 0u; t < ACROSS; t++) { // @unroll
                let given = slopes[row + t];
                for (var s = 0u; s < S; s++) { // @unroll
                  let value = values[t * STRIDE + s];
                  let place = (r * S + s) * 4u;
                  sums[place] = fma(vec4f(given.x), value, sums[place]);
                  sums[place + 1u] = fma(vec4f(given.y), value, sums[place + 1u]);
                  sums[place + 2u] = fma(vec4f(given.z), value, sums[place + 2u]);
                  sums[place + 3u] = fma(vec4f(given.w), value, sums[place + 3u]);
                }
              }
            }
          }
        }
      }
    }
  }
  for (var r = 0u; r < TAPS; r++) { // @unroll
    for (var j = 0u; j < 4u; j++) { // @unroll
      for (var s = 0u; s < S; s++) { // @unroll
        share(s, thread, sums[(r * S + s) * 4u + j]);
      }
      workgroupBarrier();
      for (var i = thread; i < S * LANES; i += LANES * ROWS) {
        let own = group.x * LANES + i % LANES;
        if (own < shape.COLUMNS && top + r < shape.R) {
          let o = group.y * (4u * shape.OWN * shape.GROUPS) + own / shape.DEPTH * 4u + j;
          slices[((o * shape.R + top + r) * S + i / LANES) * shape.DEPTH + own % shape.DEPTH] = sumShared(i / LANES, i % LANES);
        }
      }
      workgroupBarrier();
    }
  }
}
