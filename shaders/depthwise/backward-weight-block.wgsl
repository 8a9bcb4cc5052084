// Depthwise convolution, gradient of the filters in slices as depthwise/backward-weight computes it, without dilation, for GPUs:
//   slices[k,r,s,c] = Σ over the pixels n, p, q of slice k of  dy[n,p,q,c] · x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, c]
//
// x: [N,H,W,C]   dy: [N,P,Q,C] storage type   slices: [SLICES,R,S,C] f32; chunks as in depthwise/forward-block.
//
// A thread has a chunk, TAPS rows of its filters, and RUN blocks of DOWN · ACROSS pixels of dy one after another. It goes down the
// rows of a block, keeps the last rows of dy, and loads each row of x once: that is added to the taps of all rows of dy that are
// kept. The threads of a workgroup add up their sums; each workgroup has a slice.
//
// Grid: groups of LANES chunks; slices along the second axis, rows of the filter along the third.
// @use lib/chunk-four lib/block-sums
// @const LANES:u32 ROWS:u32 EACH:u32 TAPS:u32 S:u32 STRIDE:u32 ACROSS:u32
// @shape N H W P Q R PAD CHUNKS DOWN RUN
// @sample LANES=3 ROWS=8 EACH=1 TAPS=2 S=3 STRIDE=2 ACROSS=2 N=3 H=5 W=6 P=3 Q=3 R=3 PAD=1 CHUNKS=3 DOWN=2 RUN=2

@group(0) @binding(0) var<storage, read> x: array<Chunk>;
@group(0) @binding(1) var<storage, read> dy: array<Chunk>;
@group(0) @binding(2) var<storage, read_write> slices: array<vec4f>;

// Rows of dy that a row of x is added to.
const WINDOW = (TAPS + STRIDE - 1u) / STRIDE;
const SPAN = (ACROSS - 1u) * STRIDE + S;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  // No early return: every thread must reach the barriers.
  let chunk = min(group.x * LANES + thread % LANES, shape.CHUNKS - 1u);
  let top = group.z * TAPS;
  let across = (shape.Q + ACROSS - 1u) / ACROSS;
  let down = (shape.P + shape.DOWN - 1u) / shape.DOWN;
  var sums = array<vec4f, TAPS * S * EACH>();
  for (var run = 0u; run < shape.RUN; run++) {
    // Neighbouring threads have neighbouring blocks.
    let block = (group.y * shape.RUN + run) * ROWS + thread / LANES;
    if (block >= shape.N * down * across) { break; }
    let n = block / (down * across);
    let first = block / across % down * shape.DOWN;
    let q = block % across * ACROSS;
    // A row or column before the image wraps around to a large number.
    let left = q * STRIDE - shape.PAD;
    let end = min(first + shape.DOWN, shape.P);
    // Row p of dy is at p % WINDOW, counted from the first.
    var slopes = array<vec4f, WINDOW * ACROSS * EACH>();
    for (var begin = first; begin < end + WINDOW - 1u; begin += WINDOW) {
      for (var turn = 0u; turn < WINDOW; turn++) { // @unroll
        let p = begin + turn;
        for (var t = 0u; t < ACROSS; t++) { // @unroll
          let stored = dy[((n * shape.P + min(p, shape.P - 1u)) * shape.Q + min(q + t, shape.Q - 1u)) * shape.CHUNKS + chunk];
          let given = select(Chunk(), stored, p < end && q + t < shape.Q);
          for (var v = 0u; v < EACH; v++) { // @unroll
            slopes[(turn * ACROSS + t) * EACH + v] = partOf(given, v);
          }
        }
        for (var d = 0u; d < STRIDE; d++) { // @unroll
          let h = p * STRIDE + top + d - shape.PAD;
          let line = (n * shape.H + min(h, shape.H - 1u)) * shape.W;
          var inputs = array<Chunk, SPAN>();
          for (var j = 0u; j < SPAN; j++) { // @unroll
            let w = left + j;
            let stored = x[(line + min(w, shape.W - 1u)) * shape.CHUNKS + chunk];
            inputs[j] = select(Chunk(), stored, h < shape.H && w < shape.W);
          }
          for (var v = 0u; v < EACH; v++) { // @unroll
            var values = array<vec4f, SPAN>();
            for (var j = 0u; j < SPAN; j++) { // @unroll
              values[j] = partOf(inputs[j], v);
            }
            for (var m = 0u; m < WINDOW; m++) { // @unroll
              let r = m * STRIDE + d;
              let row = (turn + WINDOW - m) % WINDOW * ACROSS;
              if (r < TAPS) {
                for (var s = 0u; s < S; s++) { // @unroll
                  let place = (r * S + s) * EACH + v;
                  for (var t = 0u; t < ACROSS; t++) { // @unroll
                    sums[place] = fma(slopes[(row + t) * EACH + v], values[t * STRIDE + s], sums[place]);
                  }
                }
              }
            }
          }
        }
      }
    }
  }
  for (var r = 0u; r < TAPS; r++) { // @unroll
    for (var v = 0u; v < EACH; v++) { // @unroll
      for (var s = 0u; s < S; s++) { // @unroll
        share(s, thread, sums[(r * S + s) * EACH + v]);
      }
      workgroupBarrier();
      for (var i = thread; i < S * LANES; i += LANES * ROWS) {
        let own = group.x * LANES + i % LANES;
        if (own < shape.CHUNKS && top + r < shape.R) {
          slices[(((group.y * shape.R + top + r) * S + i / LANES) * shape.CHUNKS + own) * EACH + v] = sumShared(i / LANES, i % LANES);
        }
      }
      workgroupBarrier();
    }
  }
}
