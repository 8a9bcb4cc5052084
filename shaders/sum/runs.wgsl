// partial[g,lane] = Σ x[i] over the vectors i of run g of the lane: every LANES-th of RUN·LANES
//
// x: [VECTORS] storage type   partial: [groups,LANES] f32, four to a vector
// Grid: one workgroup per run.
// @use lib/rows lib/long-sum
// @const LANES:u32 ROWS:u32
// @shape VECTORS RUN
// @sample LANES=8 ROWS=4 VECTORS=1000 RUN=40

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> partial: array<vec4f>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let first = group.x * shape.RUN * LANES;
  let end = min(first + shape.RUN * LANES, shape.VECTORS);
  let own = longSum(first + thread, LANES * ROWS, countOf(first + thread, end, LANES * ROWS), countOf(0u, shape.RUN, ROWS));
  let sum = sumRows(own, thread);
  if (thread < LANES) { partial[group.x * LANES + thread] = sum; }
}

alias Sum = vec4f;
alias Loaded = T4;

fn loaded(i: u32) -> Loaded { return x[i]; }

fn term(kept: Loaded) -> Sum { return load4(kept); }
