// Convolution in groups as grouped-conv/forward computes it, without dilation and with vectors of four channels in one group, for
// GPUs:
//   y[n,p,q,o] = Σ over r, s, c of  x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, g·C/GROUPS + c] · weight[o,r,s,c]
// With BACKWARD = 1 x is dy and y is dx, as in grouped-conv/forward-walk: the gradient of the input at stride 1.
//
// x: [N,H,W,4·DEPTH·GROUPS]   y: [N,P,Q,4·VECTORS]   weight: [O,R,S,C/GROUPS] storage type. Sums are f32. A group has DEPTH vectors
// of four channels of x and OWN of y.
//
// A thread has a vector of four channels of y of a block of DOWN · ACROSS pixels, whose sums are in registers. For each vector of x in
// its group it loads all pixels that the block is made of once, and applies tap by tap: the weights of a tap, four vectors in workgroup
// memory, are loaded once for all pixels.
//
// Grid: a count, groups of LANES vectors by groups of ROWS blocks.
// @const LANES:u32 ROWS:u32 R:u32 S:u32 STRIDE:u32 DOWN:u32 ACROSS:u32
// @shape N H W P Q PAD VECTORS OWN DEPTH GROUPS BACKWARD
// @sample LANES=4 ROWS=8 R=3 S=3 STRIDE=2 DOWN=2 ACROSS=2 N=3 H=5 W=6 P=3 Q=3 PAD=1 VECTORS=4 OWN=2 DEPTH=1 GROUPS=2 BACKWARD=0

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

const TALL = (DOWN - 1u) * STRIDE + R;
const SPAN = (ACROSS - 1u) * STRIDE + S;

// Four per tap and lane: the weights by which each channel of a vector of x is added to the four of y.
var<workgroup> filters: array<vec4f, R * S * 4u * LANES>;

fn stageFilters(first: u32, v: u32, thread: u32) {
  let backward = shape.BACKWARD == 1u;
  for (var i = thread; i < R * S * LANES; i += LANES * ROWS) {
    let vector = min(first + i % LANES, shape.VECTORS - 1u);
    let g = vector / shape.OWN;
    let tap = select(i / LANES, R * S - 1u - i / LANES, backward);
    let column = select(v, vector - g * shape.OWN, backward);
    var four = mat4x4f();
    for (var j = 0u; j < 4u; j++) { // @unroll
      let o = select(vector, g * shape.DEPTH + v, backward) * 4u + j;
      four[j] = load4(weight[(o * (R * S) + tap) * select(shape.DEPTH, shape.OWN, backward) + column]);
    }
    let turned = transpose(four);
    for (var j = 0u; j < 4u; j++) { // @unroll
      filters[(i / LANES * 4u + j) * LANES + i % LANES] = select(turned[j], four[j], backward);
    }
  }
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let columns = (shape.VECTORS + LANES - 1u) / LANES;
  let index = workgroupIndex(group);
  let lane = thread % LANES;
  let first = index % columns * LANES;
  let across = (shape.Q + ACROSS - 1u) / ACROSS;
  let down = (shape.P + DOWN - 1u) / DOWN;
  let given = index / columns * ROWS + thread / LANES;
  // No early return: every thread must reach the barriers.
  let block = min(given, shape.N * down * across - 1u);
  let vector = min(first + lane, shape.VECTORS - 1u);
  let n = block / (down * across);
  let p = block / across % down * DOWN;
  let q = block % across * ACROSS;
  // A row or column before the image wraps around to a large number.
  let above = p * STRIDE - shape.PAD;
  let left = q * STRIDE - shape.PAD;
  var sums = array<vec4f, DOWN * ACROSS>();
  for (var v = 0u; v < shape.DEPTH; v++) {
    workgroupBarrier();
    stageFilters(first, v, thread);
    workgroupBarrier();
    let channel = vector / shape.OWN * shape.DEPTH + v;
    var values = array<vec4f, TALL * SPAN>();
    for (var k = 0u; k < TALL; k++) { // @unroll
      let h = above + k;
      let line = (n * shape.H + min(h, shape.H - 1u)) * shape.W;
      for (var j = 0u; j < SPAN; j++) { // @unroll
        let w = left + j;
        let stored = x[(line + min(w, shape.W - 1u)) * (shape.GROUPS * shape.DEPTH) + channel];
        values[k * SPAN + j] = load4(select(T4(), stored, h < shape.H && w < shape.W));
      }
    }
    for (var r = 0u; r < R; r++) { // @unroll
      for (var s = 0u; s < S; s++) { // @unroll
        let place = (r * S + s) * 4u * LANES + lane;
        let factors = mat4x4f(filters[place], filters[place + LANES], filters[place + 2u * LANES], filters[place + 3u * LANES]);
        for (var e = 0u; e < DOWN; e++) { // @unroll
          for (var t = 0u; t < ACROSS; t++) { // @unroll
            let value = values[(e * STRIDE + r) * SPAN + t * STRIDE + s];
            var sum = sums[e * ACROSS + t];
            sum = fma(factors[0], vec4f(value.x), sum);
            sum = fma(factors[1], vec4f(value.y), sum);
            sum = fma(factors[2], vec4f(value.z), sum);
            sums[e * ACROSS + t] = fma(factors[3], vec4f(value.w), sum);
          }
        }
      }
    }
  }
  for (var e = 0u; e < DOWN; e++) { // @unroll
    for (var t = 0u; t < ACROSS; t++) { // @unroll
      if (given == block && first + lane == vector && p + e < shape.P && q + t < shape.Q) {
        y[((n * shape.P + p + e) * shape.Q + q + t) * shape.VECTORS + vector] = store4(sums[e * ACROSS + t]);
      }
    }
  }
}
