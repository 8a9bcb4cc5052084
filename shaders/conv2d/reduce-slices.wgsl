// Sum of slices: total[i] = Σ over k of  slices[k,i],  COUNT values of vec4f in each of SLICES slices, in f32 and in
// the same order every time, so that the result is too: each row of threads has every ROWS-th slice.
// foundInfinity [] u32 becomes 1 where a sum is Inf or NaN.
//
// Grid: a count, ceil(COUNT / LANES): one lane per vector, whose rows share the slices.
//
// @use lib/overflow lib/long-sum
// @const LANES:u32 ROWS:u32
// @shape COUNT SLICES
// @sample LANES=64 ROWS=2 COUNT=5 SLICES=3

@group(0) @binding(0) var<storage, read> slices: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> total: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> foundInfinity: atomic<u32>;

var<workgroup> sums: array<vec4f, LANES * ROWS>;

alias Sum = vec4f;
alias Loaded = vec4f;

fn loaded(i: u32) -> Loaded { return slices[i]; }

fn term(kept: Loaded) -> Sum { return kept; }

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * LANES + thread % LANES;
  let row = thread / LANES;
  // No early return: every thread must reach the barrier.
  let first = row * shape.COUNT + min(i, shape.COUNT - 1u);
  var sum = longSum(first, ROWS * shape.COUNT, countOf(row, shape.SLICES, ROWS), countOf(0u, shape.SLICES, ROWS));
  if (ROWS > 1u) {
    sums[thread] = sum;
    workgroupBarrier();
  }
  if (thread < LANES && i < shape.COUNT) {
    for (var r = 1u; r < ROWS; r++) { sum += sums[thread + r * LANES]; }
    total[i] = sum;
    checkOverflow(isOverflow(sum));
  }
}
