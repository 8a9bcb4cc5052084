// dx[i] = dy[i] where y[i] is above 0 or NaN, otherwise 0
//
// y, dy, dx: [VECTORS] storage type; one thread per vector of four
// @use lib/nan
// @shape VECTORS
// @sample VECTORS=5

@group(0) @binding(0) var<storage, read> y: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < shape.VECTORS) {
    dx[i] = store4(select(vec4f(0.0), load4(dy[i]), isPositive(load4(y[i]))));
  }
}
