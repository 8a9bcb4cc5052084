// dx[p,c] = scale[c]·g[p,c] + b[c]·(x[p,c] - mean[c]) + d[c],   g = dy, with RELU where (x - mean)·scale + bias > 0, else 0
//
// x, dy, dx: [PIXELS,C] storage type   channels: [3,C] f32, rows mean, -, scale
// coefficients: [2,C] f32, rows b, d   bias: [C] f32; C = 4·VECTORS. One thread a vector of channels in four pixels.
// @const RELU:bool
// @shape PIXELS VECTORS
// @sample RELU=true PIXELS=35 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read> channels: array<vec4f>;
@group(0) @binding(3) var<storage, read> coefficients: array<vec4f>;
@group(0) @binding(4) var<storage, read> bias: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let task = workgroupIndex(group) * 64u + thread;
  let pixel = task / shape.VECTORS * 4u;
  let channel = task % shape.VECTORS;
  let mean = channels[channel];
  let scale = channels[2u * shape.VECTORS + channel];
  let b = coefficients[channel];
  let d = coefficients[shape.VECTORS + channel];
  let offset = bias[channel];
  for (var k = 0u; k < 4u; k++) {
    if (pixel + k < shape.PIXELS) {
      let i = (pixel + k) * shape.VECTORS + channel;
      let distance = load4(x[i]) - mean;
      var g = load4(dy[i]);
      if (RELU) { g = select(vec4f(), g, distance * scale + offset > vec4f()); }
      dx[i] = store4(scale * g + b * distance + d);
    }
  }
}
