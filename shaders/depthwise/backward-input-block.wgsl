// Depthwise convolution, gradient of the input as depthwise/backward-input computes it, without dilation, for GPUs:
//   dx[n,h,w,c] = Σ over r, s of  dy[n, (h + PAD - r) / STRIDE, (w + PAD - s) / STRIDE, c] · weight[c,r,s]
// over the taps for which both divisions come out even, inside dy.
//
// dy: [N,P,Q,C]   dx: [N,H,W,C]   weight: [C,R,S,1] storage type; chunks, blocks and TURNS as in depthwise/forward-block, which
// computes the same at stride 1 with fewer sums.
//
// A block is DOWN · ACROSS cells of STRIDE · STRIDE pixels, the first of which is PAD above and left of the image; a cell's pixels
// are made of the same pixels of dy.
//
// Grid: as of depthwise/forward-block.
// @use lib/chunk-four lib/depthwise-filters
// @const LANES:u32 ROWS:u32 EACH:u32 R:u32 S:u32 STRIDE:u32 DOWN:u32 ACROSS:u32 TURNS:u32
// @shape N H W C P Q PAD CHUNKS
// @sample LANES=3 ROWS=8 EACH=1 R=3 S=3 STRIDE=2 DOWN=1 ACROSS=2 TURNS=2 N=3 H=5 W=6 C=10 P=3 Q=3 PAD=1 CHUNKS=3

@group(0) @binding(0) var<storage, read> dy: array<Chunk>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> dx: array<Chunk>;

// Rows and columns of dy before a cell's own that reach it.
const ABOVE = (R - 1u) / STRIDE;
const BESIDE = (S - 1u) / STRIDE;
const TALL = ABOVE + DOWN;
const SPAN = BESIDE + ACROSS;
const HIGH = DOWN * STRIDE;
const WIDE = ACROSS * STRIDE;
const_assert TALL % TURNS == 0u;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = (shape.CHUNKS + LANES - 1u) / LANES;
  let index = workgroupIndex(group);
  let lane = thread % LANES;
  let chunk = index % columns * LANES + lane;
  stageFilters(index % columns * LANES, thread, false);
  workgroupBarrier();
  let across = (shape.W + shape.PAD + WIDE - 1u) / WIDE;
  let down = (shape.H + shape.PAD + HIGH - 1u) / HIGH;
  let block = index / columns * ROWS + thread / LANES;
  if (chunk >= shape.CHUNKS || block >= shape.N * down * across) { return; }
  let n = block / (down * across);
  let top = block / across % down * DOWN;
  let left = block % across * ACROSS;
  var sums = array<vec4f, HIGH * WIDE * EACH>();
  for (var begin = 0u; begin < TALL; begin += TURNS) {
    for (var turn = 0u; turn < TURNS; turn++) { // @unroll
      let k = begin + turn;
      // A row or column before dy wraps around to a large number.
      let p = top + k - ABOVE;
      let line = (n * shape.P + min(p, shape.P - 1u)) * shape.Q;
      var inputs = array<Chunk, SPAN>();
      for (var m = 0u; m < SPAN; m++) { // @unroll
        let q = left + m - BESIDE;
        let stored = dy[(line + min(q, shape.Q - 1u)) * shape.CHUNKS + chunk];
        inputs[m] = select(Chunk(), stored, p < shape.P && q < shape.Q);
      }
      for (var v = 0u; v < EACH; v++) { // @unroll
        var values = array<vec4f, SPAN>();
        for (var m = 0u; m < SPAN; m++) { // @unroll
          values[m] = partOf(inputs[m], v);
        }
        for (var j = 0u; j < HIGH; j++) { // @unroll
          let r = j + ABOVE * STRIDE - k * STRIDE;
          if (r < R) {
            for (var i = 0u; i < WIDE; i++) { // @unroll
              for (var m = 0u; m < SPAN; m++) { // @unroll
                let s = i + BESIDE * STRIDE - m * STRIDE;
                if (s < S) {
                  sums[(j * WIDE + i) * EACH + v] = fma(values[m], filterAt(r * S + s, v, lane), sums[(j * WIDE + i) * EACH + v]);
                }
              }
            }
          }
        }
      }
    }
  }
  for (var j = 0u; j < HIGH; j++) { // @unroll
    for (var i = 0u; i < WIDE; i++) { // @unroll
      let h = top * STRIDE + j - shape.PAD;
      let w = left * STRIDE + i - shape.PAD;
      if (h < shape.H && w < shape.W) {
        var parts = array<vec4f, EACH>();
        for (var v = 0u; v < EACH; v++) { // @unroll
          parts[v] = sums[(j * WIDE + i) * EACH + v];
        }
        dx[((n * shape.H + h) * shape.W + w) * shape.CHUNKS + chunk] = chunkOf(parts);
      }
    }
  }
}
