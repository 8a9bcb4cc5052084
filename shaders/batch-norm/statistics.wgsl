// Mean and sum of squared deviations of every channel in each of SLICES runs of RUN pixels (the last may be shorter):
//
//   means[s,c] = mean of x[p,c]   deviations[s,c] = Σ (x[p,c] - means[s,c])²   over the pixels p of run s
//
// x: [PIXELS,C] storage type   means, deviations: [SLICES,C] f32, C = 4·VECTORS
//
// What is summed are distances to the run's first pixel: Σx² - (Σx)²/n of the values themselves would lose every digit
// where the mean is large against the deviation.
// Grid: a lane a vector of channels, a row of workgroups a run.
// @use lib/rows
// @const LANES:u32 ROWS:u32
// @shape PIXELS RUN VECTORS
// @sample LANES=8 ROWS=4 PIXELS=35 RUN=18 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> means: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> deviations: array<vec4f>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  // No early return: every thread must reach the barriers.
  let column = min(channel, shape.VECTORS - 1u);
  let first = group.y * shape.RUN;
  let end = min(first + shape.RUN, shape.PIXELS);
  let origin = load4(x[first * shape.VECTORS + column]);
  var sum = vec4f();
  var squares = vec4f();
  for (var p = first + thread / LANES; p < end; p += ROWS) {
    let distance = load4(x[p * shape.VECTORS + column]) - origin;
    sum += distance;
    squares += distance * distance;
  }
  sum = sumRows(sum, thread);
  squares = sumRows(squares, thread);
  if (thread < LANES && channel < shape.VECTORS) {
    let count = f32(end - first);
    let at = group.y * shape.VECTORS + channel;
    means[at] = origin + sum / count;
    deviations[at] = max(squares - sum * sum / count, vec4f());
  }
}
