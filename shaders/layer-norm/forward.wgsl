// Normalizes every row:
//   y[p,c] = (x[p,c] - mean[p])·inverse[p]·weight[c] + bias[c],  inverse = 1/√(variance + EPSILON)
// with mean and variance over the channels of a row: the mean from the distances to the first channel, and the variance from
// those to the mean, so that a large mean costs no digits.
//
// x, y: [PIXELS,C] storage type   weight, bias: [C] f32   means, inverses: [PIXELS] f32; C padded to 4·VECTORS.
// Grid: a count of workgroups; each lane has one row, whose vectors its threads share. They read it three times, from a
// cache after the first.
// @use lib/rows lib/mask
// @const LANES:u32 ROWS:u32 EPSILON:f32
// @shape PIXELS C VECTORS
// @sample LANES=8 ROWS=4 EPSILON=0.00001 PIXELS=35 C=10 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> means: array<f32>;
@group(0) @binding(4) var<storage, read_write> inverses: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = workgroupIndex(group) * LANES + thread % LANES;
  // No early return: every thread must reach the barriers.
  let place = min(row, shape.PIXELS - 1u) * shape.VECTORS;
  let part = thread / LANES;
  let origin = load4(x[place]).x;
  var sum = vec4f();
  for (var v = part; v < shape.VECTORS; v += ROWS) {
    sum += masked(load4(x[place + v]) - origin, v, shape.C, 0.0);
  }
  let shift = dot(sumRows(sum, thread), vec4f(1.0)) / f32(shape.C);
  var squares = vec4f();
  for (var v = part; v < shape.VECTORS; v += ROWS) {
    let distance = masked(load4(x[place + v]) - origin - shift, v, shape.C, 0.0);
    squares += distance * distance;
  }
  let inverse = 1.0 / sqrt(dot(sumRows(squares, thread), vec4f(1.0)) / f32(shape.C) + EPSILON);
  if (row >= shape.PIXELS) { return; }
  for (var v = part; v < shape.VECTORS; v += ROWS) {
    let value = (load4(x[place + v]) - origin - shift) * inverse * weight[v] + bias[v];
    y[place + v] = store4(masked(value, v, shape.C, 0.0));
  }
  if (part == 0u) {
    means[row] = origin + shift;
    inverses[row] = inverse;
  }
}
