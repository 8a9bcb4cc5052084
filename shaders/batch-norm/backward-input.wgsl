// dx[p,c] = scale[c]·g[p,c] + b[c]·(x[p,c] - mean[c]) + d[c],   g = dy, with RELU = 1 it is 0 where (x - mean)·scale + bias ≤ 0
//
// x, dy, dx: [PIXELS,C] storage type   channels: [3,C] f32, rows mean, -, scale
// coefficients: [2,C] f32, rows b, d   bias: [C] f32; C = 4·VECTORS.
// Grid: one lane per vector of channels, one row of workgroups per run of RUN pixels, which the rows of threads share.
// @use lib/nan
// @const LANES:u32 ROWS:u32
// @shape PIXELS RUN VECTORS RELU
// @sample LANES=8 ROWS=4 PIXELS=35 RUN=18 VECTORS=3 RELU=1

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read> channels: array<vec4f>;
@group(0) @binding(3) var<storage, read> coefficients: array<vec4f>;
@group(0) @binding(4) var<storage, read> bias: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  if (channel >= shape.VECTORS) { return; }
  let mean = channels[channel];
  let scale = channels[2u * shape.VECTORS + channel];
  let b = coefficients[channel];
  let d = coefficients[shape.VECTORS + channel];
  let offset = bias[channel];
  let first = group.y * shape.RUN;
  let end = min(first + shape.RUN, shape.PIXELS);
  for (var p = first + thread / LANES; p < end; p += ROWS) {
    let i = p * shape.VECTORS + channel;
    let distance = load4(x[i]) - mean;
    var g = load4(dy[i]);
    if (shape.RELU == 1u) { g = select(vec4f(), g, isPositive(distance * scale + offset)); }
    dx[i] = store4(scale * g + b * distance + d);
  }
}
