// y[r,j] = a[r,j] for j < A, b[r,j − A] for A ≤ j < A + B, 0 in the padding
//
// a: [N,A]   b: [N,B]   y: [N,A + B] storage type, each row padded to a multiple of four. One thread per vector of y
// @shape N A B
// @sample N=3 A=5 B=6

@group(0) @binding(0) var<storage, read> a: array<T4>;
@group(0) @binding(1) var<storage, read> b: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

fn vectors(count: u32) -> u32 { return (count + 3u) / 4u; }

fn element(row: u32, j: u32) -> f32 {
  if (j < shape.A) { return load4(a[row * vectors(shape.A) + j / 4u])[j % 4u]; }
  let k = j - shape.A;
  if (k < shape.B) { return load4(b[row * vectors(shape.B) + k / 4u])[k % 4u]; }
  return 0.0;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  let row = i / vectors(shape.A + shape.B);
  if (row >= shape.N) { return; }
  let j = i % vectors(shape.A + shape.B) * 4u;
  y[i] = store4(vec4f(element(row, j), element(row, j + 1u), element(row, j + 2u), element(row, j + 3u)));
}
