// y[p,c] = (x[p,c] - mean[c])·scale[c] + bias[c],  with RESIDUAL + residual[p,c],  with RELU what is below 0 is 0
//
// x, residual, y: [PIXELS,C] storage type   channels: [3,C] f32, rows mean, -, scale   bias: [C] f32; C = 4·VECTORS
// Without RESIDUAL its buffer is not read. One thread a vector of channels in four pixels, so that what belongs to the
// channels is read once for four.
// @const RESIDUAL:bool RELU:bool
// @shape PIXELS VECTORS
// @sample RESIDUAL=true RELU=true PIXELS=35 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> residual: array<T4>;
@group(0) @binding(2) var<storage, read> channels: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let task = workgroupIndex(group) * 64u + thread;
  let pixel = task / shape.VECTORS * 4u;
  let channel = task % shape.VECTORS;
  let mean = channels[channel];
  let scale = channels[2u * shape.VECTORS + channel];
  let offset = bias[channel];
  for (var k = 0u; k < 4u; k++) {
    if (pixel + k < shape.PIXELS) {
      let i = (pixel + k) * shape.VECTORS + channel;
      var value = (load4(x[i]) - mean) * scale + offset;
      if (RESIDUAL) { value += load4(residual[i]); }
      if (RELU) { value = max(value, vec4f()); }
      y[i] = store4(value);
    }
  }
}
