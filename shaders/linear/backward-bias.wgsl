// dbias[o] = sum over n of dy[n,o];  foundInfinity = 1 where that is Inf or NaN
//
// dy: [N,O] storage type   dbias: [O] f32   foundInfinity: [] u32; one thread per vector of four columns, down all rows
// @use lib/overflow lib/long-sum
// @shape N COLUMNS
// @sample N=3 COLUMNS=5

@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read_write> dbias: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> foundInfinity: atomic<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let column = workgroupIndex(group) * 64u + thread;
  if (column < shape.COLUMNS) {
    let sum = longSum(column, shape.COLUMNS, shape.N, shape.N);
    dbias[column] = sum;
    checkOverflow(isOverflow(sum));
  }
}

alias Sum = vec4f;
alias Loaded = T4;

fn loaded(i: u32) -> Loaded { return dy[i]; }

fn term(kept: Loaded) -> Sum { return load4(kept); }
