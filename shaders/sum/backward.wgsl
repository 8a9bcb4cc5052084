// dx[i] = dy for every element, 0 in the padding of the last axis
//
// dy: [] f32   dx: [rows,C] storage type, C padded to 4·COLUMNS; one thread per vector of four
// @use lib/mask
// @shape VECTORS COLUMNS C
// @sample VECTORS=15 COLUMNS=3 C=10

@group(0) @binding(0) var<storage, read> dy: vec4f;
@group(0) @binding(1) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i >= shape.VECTORS) { return; }
  dx[i] = store4(masked(vec4f(dy.x), i % shape.COLUMNS, shape.C, 0.0));
}
