// Sums of the columns of a matrix in each of SLICES runs of RUN rows:
//   slices[k,c] = Σ over the rows p of run k of  dy[p,c], with PRODUCT of dy[p,c]·x[p,c]
//
// x, dy: [PIXELS,C] storage type   slices: [SLICES,C] f32; C = 4·VECTORS
// Grid: one lane per vector of columns, one row of workgroups per run.
// @use lib/rows lib/long-sum
// @const LANES:u32 ROWS:u32 PRODUCT:bool
// @shape PIXELS RUN VECTORS
// @sample LANES=8 ROWS=4 PRODUCT=true PIXELS=35 RUN=18 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> slices: array<vec4f>;

alias Sum = vec4f;

struct Loaded { dy: T4, x: T4 }

fn loaded(i: u32) -> Loaded {
  if (PRODUCT) { return Loaded(dy[i], x[i]); }
  return Loaded(dy[i], T4());
}

fn term(kept: Loaded) -> Sum {
  var value = load4(kept.dy);
  if (PRODUCT) { value *= load4(kept.x); }
  return value;
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  // No early return: every thread must reach the barriers.
  let column = min(channel, shape.VECTORS - 1u);
  let first = group.y * shape.RUN + thread / LANES;
  let end = min((group.y + 1u) * shape.RUN, shape.PIXELS);
  let most = countOf(0u, shape.RUN, ROWS);
  let own = longSum(first * shape.VECTORS + column, ROWS * shape.VECTORS, countOf(first, end, ROWS), most);
  let sum = sumRows(own, thread);
  if (thread < LANES && channel < shape.VECTORS) { slices[group.y * shape.VECTORS + channel] = sum; }
}
