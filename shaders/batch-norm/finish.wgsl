// Statistics of the batch from those of its runs (Chan, Golub & LeVeque 1979), and what follows from them:
//
//   mean = Σ n[s]·means[s] / PIXELS    variance = (Σ deviations[s] + n[s]·(means[s] - mean)²) / PIXELS
//   channels = [mean, inverse, scale],  inverse = 1/√(variance + EPSILON),  scale = weight·inverse
//   runningMean += MOMENTUM·(mean - runningMean)    runningVar alike, with the unbiased variance·PIXELS/(PIXELS-1)
//
// means, deviations: [SLICES,C]   weight, runningMean, runningVar: [C]   channels: [3,C]   all f32, C = CHANNELS with the padding
// Grid: one lane per channel; the rows of threads share the runs. Not per vector of four: Mesa's software adapter compiles every
// load and store of a number for every lane, which took 0.5 s of the first step in place of 0.2 (llvmpipe, Mesa 25.0.7, 512 bits).
// @use lib/rows
// @const LANES:u32 ROWS:u32 MOMENTUM:f32 EPSILON:f32
// @shape PIXELS RUN SLICES CHANNELS
// @sample LANES=4 ROWS=8 MOMENTUM=0.1 EPSILON=0.00001 PIXELS=35 RUN=18 SLICES=2 CHANNELS=12

@group(0) @binding(0) var<storage, read> means: array<f32>;
@group(0) @binding(1) var<storage, read> deviations: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> runningMean: array<f32>;
@group(0) @binding(4) var<storage, read_write> runningVar: array<f32>;
@group(0) @binding(5) var<storage, read_write> channels: array<f32>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  let column = min(channel, shape.CHANNELS - 1u);
  let row = thread / LANES;
  // Means are summed as distances to the first, since a large mean would cost digits, as in statistics.wgsl.
  let origin = means[column];
  var sum = 0.0;
  var s = row;
  if (AT_ONCE > 1u) {
    for (; s + (AT_ONCE - 1u) * ROWS < shape.SLICES; s += AT_ONCE * ROWS) {
      var loaded: array<f32, AT_ONCE>;
      for (var k = 0u; k < AT_ONCE; k++) { // @unroll
        loaded[k] = means[(s + k * ROWS) * shape.CHANNELS + column];
      }
      for (var k = 0u; k < AT_ONCE; k++) { // @unroll
        sum += pixelsOf(s + k * ROWS) * (loaded[k] - origin);
      }
    }
  }
  for (; s < shape.SLICES; s += ROWS) {
    sum += pixelsOf(s) * (means[s * shape.CHANNELS + column] - origin);
  }
  let mean = origin + sumRows(vec4f(sum), thread).x / f32(shape.PIXELS);
  var squares = 0.0;
  s = row;
  if (AT_ONCE > 1u) {
    for (; s + (AT_ONCE - 1u) * ROWS < shape.SLICES; s += AT_ONCE * ROWS) {
      var loaded: array<vec2f, AT_ONCE>;
      for (var k = 0u; k < AT_ONCE; k++) { // @unroll
        let at = (s + k * ROWS) * shape.CHANNELS + column;
        loaded[k] = vec2f(means[at], deviations[at]);
      }
      for (var k = 0u; k < AT_ONCE; k++) { // @unroll
        let distance = loaded[k].x - mean;
        squares += loaded[k].y + pixelsOf(s + k * ROWS) * distance * distance;
      }
    }
  }
  for (; s < shape.SLICES; s += ROWS) {
    let distance = means[s * shape.CHANNELS + column] - mean;
    squares += deviations[s * shape.CHANNELS + column] + pixelsOf(s) * distance * distance;
  }
  squares = sumRows(vec4f(squares), thread).x;
  if (thread < LANES && channel < shape.CHANNELS) {
    let inverse = 1.0 / sqrt(squares / f32(shape.PIXELS) + EPSILON);
    channels[channel] = mean;
    channels[shape.CHANNELS + channel] = inverse;
    channels[2u * shape.CHANNELS + channel] = weight[channel] * inverse;
    runningMean[channel] += MOMENTUM * (mean - runningMean[channel]);
    runningVar[channel] += MOMENTUM * (squares / f32(shape.PIXELS - 1u) - runningVar[channel]);
  }
}

fn pixelsOf(slice: u32) -> f32 {
  return f32(min(shape.RUN, shape.PIXELS - slice * shape.RUN));
}
