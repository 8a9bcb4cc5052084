// Normalizes every row as forward.wgsl does, and reads it once: a thread keeps its EACH vectors of a row in registers.
// For GPUs, where it has the loads of a row on their way at once; forward.wgsl took 28.6 µs for [64,32,32,96] f16 on an H200,
// 880 GB/s, with threads of a workgroup in 16 rows whose loads of 8 bytes were 192 bytes apart.
//
// x, y: [PIXELS,C] storage type   weight, bias: [C] f32   means, inverses: [PIXELS] f32; C padded to 4·VECTORS.
// Grid: a count of workgroups of ROWS rows, each of PARTS neighbouring threads; PARTS·EACH ≥ VECTORS.
// @use lib/neighbours lib/mask
// @const PARTS:u32 ROWS:u32 EACH:u32 EPSILON:f32
// @shape PIXELS C VECTORS
// @sample PARTS=2 ROWS=4 EACH=2 EPSILON=0.00001 PIXELS=35 C=10 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> means: array<f32>;
@group(0) @binding(4) var<storage, read_write> inverses: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(PARTS * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = workgroupIndex(group) * ROWS + thread / PARTS;
  // No early return: every thread must reach the barriers.
  let place = min(row, shape.PIXELS - 1u) * shape.VECTORS;
  let part = thread % PARTS;
  let origin = load4(x[place]).x;
  // Distances to the first channel, then to the mean. All vectors beyond the row are masked.
  var kept: array<vec4f, EACH>;
  for (var k = 0u; k < EACH; k++) { // @unroll
    kept[k] = load4(x[place + vectorOf(k, part)]) - origin;
  }
  var sum = vec4f();
  for (var k = 0u; k < EACH; k++) { // @unroll
    sum += inRow(kept[k], k, part);
  }
  let shift = sumParts(vec2f(dot(sum, vec4f(1.0)), 0.0), thread).x / f32(shape.C);
  var squares = vec4f();
  for (var k = 0u; k < EACH; k++) { // @unroll
    kept[k] = inRow(kept[k] - shift, k, part);
    squares += kept[k] * kept[k];
  }
  let inverse = 1.0 / sqrt(sumParts(vec2f(dot(squares, vec4f(1.0)), 0.0), thread).x / f32(shape.C) + EPSILON);
  if (row >= shape.PIXELS) { return; }
  for (var k = 0u; k < EACH; k++) { // @unroll
    let v = part + k * PARTS;
    if (isWhole(k) || v < shape.VECTORS) {
      y[place + v] = store4(inRow(kept[k] * inverse * weight[v] + bias[v], k, part));
    }
  }
  if (part == 0u) {
    means[row] = origin + shift;
    inverses[row] = inverse;
  }
}
