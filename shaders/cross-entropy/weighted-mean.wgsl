// loss = Σ losses[n] / W,  W = Σ (mix[n]·weight[a[n]] + (1 - mix[n])·weight[b[n]]);  loss = 0 where W is 0
// rows[N].x = W, for backward
//
// losses: [N] f32   a, b: [N] u32, of which one of K or more counts as K - 1: its loss is NaN   mix: [N] f32
// weight: [K] f32   loss: [] f32   rows: [N+1,4] f32. Without MIXED b and mix are not read.
// One workgroup, whose ROWS threads share the rows.
// @use lib/rows lib/long-sum
// @const LANES:u32 ROWS:u32 MIXED:bool
// @shape N K
// @sample LANES=1 ROWS=8 MIXED=true N=5 K=3

@group(0) @binding(0) var<storage, read> losses: array<f32>;
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read> mix: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read_write> loss: vec4f;
@group(0) @binding(6) var<storage, read_write> rows: array<vec4f>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(local_invocation_index) thread: u32) {
  let own = longSum(thread, ROWS, countOf(thread, shape.N, ROWS), countOf(0u, shape.N, ROWS));
  let sum = sumRows(own, thread);
  if (thread == 0u) {
    // The padding of a scalar is zero like any other.
    loss = vec4f(select(sum.x / sum.y, 0.0, sum.y == 0.0), 0.0, 0.0, 0.0);
    rows[shape.N].x = sum.y;
  }
}

// A loss and its weight
alias Sum = vec4f;
alias Loaded = Sum;

fn term(kept: Loaded) -> Sum { return kept; }

fn loaded(n: u32) -> Loaded {
  var w = weight[min(a[n], shape.K - 1u)];
  if (MIXED) { w = mix[n] * w + (1.0 - mix[n]) * weight[min(b[n], shape.K - 1u)]; }
  return vec4f(losses[n], w, 0.0, 0.0);
}
