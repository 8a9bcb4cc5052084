// y[n] = Σ_k x[n,k] / K, 0 beyond the N rows
//
// x: [N,K] f32, K padded with zeros to 4·COLUMNS   y: [N] f32, padded to 4. One thread per stored number of y.
// @use lib/long-sum
// @shape N K COLUMNS
// @sample N=5 K=10 COLUMNS=3

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

var<private> first: u32;

alias Sum = vec4f;
alias Loaded = vec4f;

fn loaded(v: u32) -> Loaded { return x[first + v]; }

fn term(kept: Loaded) -> Sum { return kept; }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let n = workgroupIndex(group) * 64u + thread;
  if (n >= (shape.N + 3u) / 4u * 4u) { return; }
  first = n * shape.COLUMNS;
  var sum = vec4f();
  if (n < shape.N) { sum = longSum(0u, 1u, shape.COLUMNS, shape.COLUMNS); }
  y[n] = dot(sum, vec4f(1.0)) / f32(shape.K);
}
