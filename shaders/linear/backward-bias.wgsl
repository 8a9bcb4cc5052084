// dbias[o] = sum over n of dy[n,o]
//
// dy: [N,O] storage type   dbias: [O] f32; one thread a vector of four columns, down all rows
// @shape N COLUMNS
// @sample N=3 COLUMNS=5

@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read_write> dbias: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let column = workgroupIndex(group) * 64u + thread;
  if (column < shape.COLUMNS) {
    var sum = vec4f();
    for (var n = 0u; n < shape.N; n++) {
      sum += load4(dy[n * shape.COLUMNS + column]);
    }
    dbias[column] = sum;
  }
}
