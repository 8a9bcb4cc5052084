// y[n,p,q] = (x[n,p,q] - normalization[0]) · normalization[1], for images that were changed before they are normalized
//
// x: [VECTORS] pixels of three f32   normalization: [2,3] f32, mean and 1 / standard deviation
// y: [VECTORS] pixels of three, storage type; one thread per pixel, whose fourth number stays zero
// @shape VECTORS
// @sample VECTORS=5

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> normalization: array<vec4f, 2>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i >= shape.VECTORS) { return; }
  y[i] = store4(vec4f((x[i].rgb - normalization[0].rgb) * normalization[1].rgb, 0));
}
