// Channels of a batch norm outside training, from its running statistics; rows of `channels` as in finish.wgsl:
//
//   channels = [mean, inverse, scale],  inverse = 1/√(variance + EPSILON),  scale = weight·inverse
//
// weight, runningMean, runningVar: [C]   channels: [3,C]   all f32, C = 4·VECTORS; one thread per vector
// @const EPSILON:f32
// @shape VECTORS
// @sample EPSILON=0.00001 VECTORS=3

@group(0) @binding(0) var<storage, read> weight: array<vec4f>;
@group(0) @binding(1) var<storage, read> runningMean: array<vec4f>;
@group(0) @binding(2) var<storage, read> runningVar: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> channels: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = workgroupIndex(group) * 64u + thread;
  if (channel >= shape.VECTORS) { return; }
  let inverse = 1.0 / sqrt(runningVar[channel] + EPSILON);
  channels[channel] = runningMean[channel];
  channels[shape.VECTORS + channel] = inverse;
  channels[2u * shape.VECTORS + channel] = weight[channel] * inverse;
}
