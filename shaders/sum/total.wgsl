// total = Σ partial[i] / DIVISOR
//
// partial: [COUNT] f32, four to a vector   total: [] f32. One workgroup, whose ROWS threads share the vectors.
// @use lib/rows lib/long-sum
// @const LANES:u32 ROWS:u32
// @shape COUNT DIVISOR
// @sample LANES=1 ROWS=8 COUNT=5 DIVISOR=3

@group(0) @binding(0) var<storage, read> partial: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> total: vec4f;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(local_invocation_index) thread: u32) {
  let own = longSum(thread, ROWS, countOf(thread, shape.COUNT, ROWS), countOf(0u, shape.COUNT, ROWS));
  let sum = sumRows(own, thread);
  // The padding of a scalar is zero like any other.
  if (thread == 0u) { total = vec4f(dot(sum, vec4f(1.0)) / f32(shape.DIVISOR), 0.0, 0.0, 0.0); }
}

alias Sum = vec4f;
alias Loaded = vec4f;

fn loaded(i: u32) -> Loaded { return partial[i]; }

fn term(kept: Loaded) -> Sum { return kept; }
