// dx[r,j] = dy[r,FIRST + j] for j < COLUMNS, 0 in the padding
//
// dy: [N,WHOLE]   dx: [N,COLUMNS] storage type, each row padded to a multiple of four. One thread per vector of dx
// @shape N WHOLE FIRST COLUMNS
// @sample N=3 WHOLE=11 FIRST=5 COLUMNS=6

@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read_write> dx: array<T4>;

fn vectors(count: u32) -> u32 { return (count + 3u) / 4u; }

fn element(row: u32, j: u32) -> f32 {
  if (j >= shape.COLUMNS) { return 0.0; }
  let k = shape.FIRST + j;
  return load4(dy[row * vectors(shape.WHOLE) + k / 4u])[k % 4u];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  let row = i / vectors(shape.COLUMNS);
  if (row >= shape.N) { return; }
  let j = i % vectors(shape.COLUMNS) * 4u;
  dx[i] = store4(vec4f(element(row, j), element(row, j + 1u), element(row, j + 2u), element(row, j + 3u)));
}
