// y[n,k] = exp(x[n,k] - largest) / Σ exp(x[n,j] - largest),  largest = max over j of x[n,j]
//
// x: [N,K] storage type   y: [N,K] f32; K padded to 4·VECTORS, with zeros in y
// Grid: one lane per row of x, whose vectors the rows of threads share.
// @use lib/rows lib/mask lib/long-sum lib/nan
// @const LANES:u32 ROWS:u32
// @shape N K VECTORS
// @sample LANES=1 ROWS=8 N=3 K=10 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

// The first vector of a thread's row, and the row's largest number.
var<private> first: u32;
var<private> largest: f32;

alias Sum = vec4f;

struct Loaded { v: u32, x: T4 }

fn loaded(v: u32) -> Loaded { return Loaded(v, x[first + v]); }

fn term(kept: Loaded) -> Sum { return masked(expOrNan(load4(kept.x) - largest), kept.v, shape.K, 0.0); }

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let n = workgroupIndex(group) * LANES + thread % LANES;
  // No early return: every thread must reach the barriers.
  first = min(n, shape.N - 1u) * shape.VECTORS;
  // A maximum may drop a NaN, whose exponential is one again.
  var top = vec4f(LOWEST);
  for (var v = thread / LANES; v < shape.VECTORS; v += ROWS) {
    top = max(top, masked(load4(x[first + v]), v, shape.K, LOWEST));
  }
  top = maxRows(top, thread);
  largest = max(max(top.x, top.y), max(top.z, top.w));
  let most = countOf(0u, shape.VECTORS, ROWS);
  let own = longSum(thread / LANES, ROWS, countOf(thread / LANES, shape.VECTORS, ROWS), most);
  let total = dot(sumRows(own, thread), vec4f(1.0));
  if (n >= shape.N) { return; }
  for (var v = thread / LANES; v < shape.VECTORS; v += ROWS) {
    y[first + v] = masked(term(loaded(v)) / total, v, shape.K, 0.0);
  }
}

// Below every logit: the most negative f32.
const LOWEST = -3.4028234e38;
