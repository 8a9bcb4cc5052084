// y[n,o] += bias[o]
//
// y: [N,O] storage type   bias: [O] f32; one thread per vector of four, COLUMNS of them in a row
// @shape N COLUMNS
// @sample N=3 COLUMNS=5

@group(0) @binding(0) var<storage, read> bias: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < shape.N * shape.COLUMNS) {
    y[i] = store4(load4(y[i]) + bias[i % shape.COLUMNS]);
  }
}
