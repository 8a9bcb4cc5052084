// y[p,c] = f(x[p,c]), 0 in the padding; f is the activation KIND of lib/activations
//
// x, y: [PIXELS,C] storage type; one thread per vector of four, VECTORS in all
// @use lib/activations lib/mask
// @const KIND:u32
// @shape VECTORS C
// @sample KIND=2 VECTORS=6 C=10

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i >= shape.VECTORS) { return; }
  var value = valueOf(KIND, load4(x[i]));
  // The others are 0 at 0.
  if (KIND == SIGMOID || KIND == HARD_SIGMOID) { value = masked(value, i % ((shape.C + 3u) / 4u), shape.C, 0.0); }
  y[i] = store4(value);
}
