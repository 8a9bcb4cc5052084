// Gradient of the input of a layer norm:
//   dx[p,c] = inverse[p]·(g[p,c] - mean over c of g - n[p,c]·mean over c of g·n),  g = dy·weight,  n = (x - mean)·inverse
//
// x, dy, dx: [PIXELS,C] storage type   weight: [C] f32   means, inverses: [PIXELS] f32; C padded to 4·VECTORS.
// Grid: a count of workgroups; each lane has one row, whose vectors its threads share.
// @use lib/rows lib/mask
// @const LANES:u32 ROWS:u32
// @shape PIXELS C VECTORS
// @sample LANES=8 ROWS=4 PIXELS=35 C=10 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> means: array<f32>;
@group(0) @binding(4) var<storage, read> inverses: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = workgroupIndex(group) * LANES + thread % LANES;
  // No early return: every thread must reach the barriers.
  let own = min(row, shape.PIXELS - 1u);
  let place = own * shape.VECTORS;
  let part = thread / LANES;
  let mean = means[own];
  let inverse = inverses[own];
  var sum = vec4f();
  var product = vec4f();
  for (var v = part; v < shape.VECTORS; v += ROWS) {
    // Zero in the padding, since dy is.
    let g = load4(dy[place + v]) * weight[v];
    sum += g;
    product += g * (load4(x[place + v]) - mean);
  }
  let meanOfG = dot(sumRows(sum, thread), vec4f(1.0)) / f32(shape.C);
  let meanOfProduct = dot(sumRows(product, thread), vec4f(1.0)) / f32(shape.C) * inverse;
  if (row >= shape.PIXELS) { return; }
  for (var v = part; v < shape.VECTORS; v += ROWS) {
    let normalized = (load4(x[place + v]) - mean) * inverse;
    let g = load4(dy[place + v]) * weight[v];
    dx[place + v] = store4(masked(inverse * (g - meanOfG - normalized * meanOfProduct), v, shape.C, 0.0));
  }
}
