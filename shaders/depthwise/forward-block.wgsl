// Depthwise convolution as depthwise/forward computes it, without dilation, for GPUs:
//   y[n,p,q,c] = Σ over r, s of  x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, c] · weight[c,r,s]  [+ bias[c] with BIAS = 1]
//
// x: [N,H,W,C]   y: [N,P,Q,C]   weight: [C,R,S,1] storage type   bias: [C] f32; a pixel has CHUNKS chunks of EACH vectors of four
// channels. Sums are f32. FLIPPED as in depthwise/forward.
//
// A thread has a chunk of a block of DOWN · ACROSS pixels, all of whose sums are in registers. It goes down the rows of x that they
// are made of, loads each once, and adds it to the sums of all rows that it belongs to. Filters are in workgroup memory.
// TURNS rows of x are written out: all of them, (DOWN - 1)·STRIDE + R, or 1 for large filters, whose code would be long.
//
// Grid: a count, groups of LANES chunks by groups of ROWS blocks; LANES divides CHUNKS where it can, so that no lane is idle.
// @use lib/chunk-four lib/depthwise-filters
// @const LANES:u32 ROWS:u32 EACH:u32 R:u32 S:u32 STRIDE:u32 DOWN:u32 ACROSS:u32 TURNS:u32
// @shape N H W C P Q PAD CHUNKS FLIPPED BIAS
// @sample LANES=3 ROWS=8 EACH=1 R=3 S=3 STRIDE=2 DOWN=2 ACROSS=2 TURNS=5 N=3 H=5 W=6 C=10 P=3 Q=3 PAD=1 CHUNKS=3 FLIPPED=0 BIAS=1

@group(0) @binding(0) var<storage, read> x: array<Chunk>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<Chunk>;

const TALL = (DOWN - 1u) * STRIDE + R;
const SPAN = (ACROSS - 1u) * STRIDE + S;
const_assert TALL % TURNS == 0u;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = (shape.CHUNKS + LANES - 1u) / LANES;
  let index = workgroupIndex(group);
  let lane = thread % LANES;
  let chunk = index % columns * LANES + lane;
  stageFilters(index % columns * LANES, thread, shape.FLIPPED == 1u);
  workgroupBarrier();
  let across = (shape.Q + ACROSS - 1u) / ACROSS;
  let down = (shape.P + DOWN - 1u) / DOWN;
  let block = index / columns * ROWS + thread / LANES;
  if (chunk >= shape.CHUNKS || block >= shape.N * down * across) { return; }
  let n = block / (down * across);
  let p = block / across % down * DOWN;
  let q = block % across * ACROSS;
  var sums = array<vec4f, DOWN * ACROSS * EACH>();
  if (shape.BIAS == 1u) {
    for (var v = 0u; v < EACH; v++) { // @unroll
      let start = bias[chunk * EACH + v];
      for (var i = 0u; i < DOWN * ACROSS; i++) { // @unroll
        sums[i * EACH + v] = start;
      }
    }
  }
  // A row or column before the image wraps around to a large number.
  let left = q * STRIDE - shape.PAD;
  for (var begin = 0u; begin < TALL; begin += TURNS) {
    for (var turn = 0u; turn < TURNS; turn++) { // @unroll
      let k = begin + turn;
      let h = p * STRIDE + k - shape.PAD;
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
        for (var e = 0u; e < DOWN; e++) { // @unroll
          let r = k - e * STRIDE;
          if (r < R) {
            for (var s = 0u; s < S; s++) { // @unroll
              let factor = filterAt(r * S + s, v, lane);
              for (var t = 0u; t < ACROSS; t++) { // @unroll
                sums[(e * ACROSS + t) * EACH + v] = fma(values[t * STRIDE + s], factor, sums[(e * ACROSS + t) * EACH + v]);
              }
            }
          }
        }
      }
    }
  }
  for (var e = 0u; e < DOWN; e++) { // @unroll
    for (var t = 0u; t < ACROSS; t++) { // @unroll
      if (p + e < shape.P && q + t < shape.Q) {
        var parts = array<vec4f, EACH>();
        for (var v = 0u; v < EACH; v++) { // @unroll
          parts[v] = sums[(e * ACROSS + t) * EACH + v];
        }
        y[((n * shape.P + p + e) * shape.Q + q + t) * shape.CHUNKS + chunk] = chunkOf(parts);
      }
    }
  }
}
