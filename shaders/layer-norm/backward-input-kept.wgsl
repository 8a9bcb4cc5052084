// Gradient of the input of a layer norm as backward-input.wgsl computes it, from one read of x and dy: a thread keeps its EACH
// vectors of a row in registers. For GPUs.
//
// x, dy, dx: [PIXELS,C] storage type   weight: [C] f32   means, inverses: [PIXELS] f32; C padded to 4·VECTORS.
// Grid: a count of workgroups of ROWS rows, each of PARTS neighbouring threads; PARTS·EACH ≥ VECTORS.
// @use lib/neighbours lib/mask
// @const PARTS:u32 ROWS:u32 EACH:u32
// @shape PIXELS C VECTORS
// @sample PARTS=2 ROWS=4 EACH=2 PIXELS=35 C=10 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> means: array<f32>;
@group(0) @binding(4) var<storage, read> inverses: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(PARTS * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = workgroupIndex(group) * ROWS + thread / PARTS;
  // No early return: every thread must reach the barriers.
  let own = min(row, shape.PIXELS - 1u);
  let place = own * shape.VECTORS;
  let part = thread % PARTS;
  let mean = means[own];
  let inverse = inverses[own];
  // g, and the distances of x to the mean.
  var slopes: array<vec4f, EACH>;
  var distances: array<vec4f, EACH>;
  for (var k = 0u; k < EACH; k++) { // @unroll
    let v = vectorOf(k, part);
    slopes[k] = load4(dy[place + v]) * weight[v];
    distances[k] = load4(x[place + v]) - mean;
  }
  var sum = vec4f();
  var product = vec4f();
  for (var k = 0u; k < EACH; k++) { // @unroll
    sum += inRow(slopes[k], k, part);
    product += inRow(slopes[k] * distances[k], k, part);
  }
  let totals = sumParts(vec2f(dot(sum, vec4f(1.0)), dot(product, vec4f(1.0))), thread) / f32(shape.C);
  let meanOfG = totals.x;
  let meanOfProduct = totals.y * inverse;
  if (row >= shape.PIXELS) { return; }
  for (var k = 0u; k < EACH; k++) { // @unroll
    let v = part + k * PARTS;
    if (isWhole(k) || v < shape.VECTORS) {
      let normalized = distances[k] * inverse;
      dx[place + v] = store4(inRow(inverse * (slopes[k] - meanOfG - normalized * meanOfProduct), k, part));
    }
  }
}
