// Mean and sum of squared deviations of every channel in each of SLICES runs of RUN pixels (the last may be shorter):
//
//   means[s,c] = mean of x[p,c]   deviations[s,c] = Σ (x[p,c] - means[s,c])²   over the pixels p of run s
//
// x: [PIXELS,C] storage type   means, deviations: [SLICES,C] f32, C = 4·VECTORS
//
// Σx² - (Σx)²/n would lose every digit where the mean is large against the deviation. So a thread sums distances, from its
// first pixel in its first BLOCK, then from the mean of all before: an odd first pixel costs digits in one block only.
// Grid: one lane per vector of channels, one row of workgroups per run.
// @use lib/rows
// @const LANES:u32 ROWS:u32
// @shape PIXELS RUN VECTORS
// @sample LANES=8 ROWS=4 PIXELS=35 RUN=18 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> means: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> deviations: array<vec4f>;

const BLOCK = 32u;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  // No early return: every thread must reach the barriers.
  let column = min(channel, shape.VECTORS - 1u);
  let first = group.y * shape.RUN;
  let end = min(first + shape.RUN, shape.PIXELS);
  let begin = first + thread / LANES;
  let origin = load4(x[min(begin, end - 1u) * shape.VECTORS + column]);
  // Mean, less the origin, and squared deviations of the `count` pixels so far.
  var count = 0.0;
  var mean = vec4f();
  var deviation = vec4f();
  for (var block = begin; block < end; block += BLOCK * ROWS) {
    var sum = vec4f();
    var squares = vec4f();
    var p = block;
    if (AT_ONCE > 1u) {
      for (; p + (AT_ONCE - 1u) * ROWS < min(block + BLOCK * ROWS, end); p += AT_ONCE * ROWS) {
        var distances: array<vec4f, AT_ONCE>;
        for (var k = 0u; k < AT_ONCE; k++) { // @unroll
          distances[k] = load4(x[(p + k * ROWS) * shape.VECTORS + column]) - origin - mean;
        }
        for (var k = 0u; k < AT_ONCE; k++) { // @unroll
          sum += distances[k];
          squares += distances[k] * distances[k];
        }
        count += f32(AT_ONCE);
      }
    }
    for (; p < min(block + BLOCK * ROWS, end); p += ROWS) {
      let distance = load4(x[p * shape.VECTORS + column]) - origin - mean;
      sum += distance;
      squares += distance * distance;
      count += 1.0;
    }
    // Chan, Golub & LeVeque 1979, with distances to the mean before.
    let step = sum / count;
    mean += step;
    deviation += squares - sum * step;
  }
  // Means of the threads are summed as distances to one pixel, since a large mean would cost digits.
  let base = load4(x[first * shape.VECTORS + column]);
  let place = origin - base + mean;
  let total = sumRows(count / f32(end - first) * place, thread);
  let distance = place - total;
  let squares = sumRows(deviation + count * distance * distance, thread);
  if (thread < LANES && channel < shape.VECTORS) {
    let at = group.y * shape.VECTORS + channel;
    means[at] = base + total;
    deviations[at] = squares;
  }
}
