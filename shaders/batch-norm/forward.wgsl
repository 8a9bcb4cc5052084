// y[p,c] = (x[p,c] - mean[c])·scale[c] + bias[c],  with RESIDUAL + residual[p,c],  with RELU = 1 max(·, 0); NaN stays
//
// x, residual, y: [PIXELS,C] storage type   channels: [3,C] f32, rows mean, -, scale   bias: [C] f32; C = 4·VECTORS
// Without RESIDUAL its buffer is not read.
// Grid: one lane per vector of channels, one row of workgroups per run of RUN pixels, which the rows of threads share.
// @use lib/nan
// @const LANES:u32 ROWS:u32 RESIDUAL:bool
// @shape PIXELS RUN VECTORS RELU
// @sample LANES=8 ROWS=4 RESIDUAL=true PIXELS=35 RUN=18 VECTORS=3 RELU=1

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> residual: array<T4>;
@group(0) @binding(2) var<storage, read> channels: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  if (channel >= shape.VECTORS) { return; }
  let mean = channels[channel];
  let scale = channels[2u * shape.VECTORS + channel];
  let offset = bias[channel];
  let first = group.y * shape.RUN;
  let end = min(first + shape.RUN, shape.PIXELS);
  for (var p = first + thread / LANES; p < end; p += ROWS) {
    let i = p * shape.VECTORS + channel;
    var value = (load4(x[i]) - mean) * scale + offset;
    if (RESIDUAL) { value += load4(residual[i]); }
    if (shape.RELU == 1u) { value = rectified(value); }
    y[i] = store4(value);
  }
}
