// Filters of a depthwise convolution, transposed so that four channels of a tap are one vector:
//   packed[t,c] = weight[c,t], 0 in the padding
//
// weight: [C,TAPS,1] storage type, a tap in the first of four numbers   packed: [TAPS,C] f32, C padded to a multiple of four.
// One thread per vector of packed
// @shape C TAPS
// @sample C=10 TAPS=9

@group(0) @binding(0) var<storage, read> weight: array<T4>;
@group(0) @binding(1) var<storage, read_write> packed: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  let vectors = (shape.C + 3u) / 4u;
  if (i >= shape.TAPS * vectors) { return; }
  let tap = i / vectors;
  var four = vec4f();
  for (var j = 0u; j < 4u; j++) {
    let c = i % vectors * 4u + j;
    if (c < shape.C) { four[j] = load4(weight[c * shape.TAPS + tap]).x; }
  }
  packed[i] = four;
}
