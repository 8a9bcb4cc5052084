// y[n,…] = x[n,…] · factors[n]: zero, or NaN for Inf and NaN, where the factor is 0
//
// x, y: [N,…] storage type, EACH vectors of four per image   factors: [N] f32. One thread per vector, COUNT in all.
// Forward on x, backward on dy.
// @shape COUNT EACH
// @sample COUNT=15 EACH=5

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < shape.COUNT) {
    y[i] = store4(load4(x[i]) * factors[i / shape.EACH]);
  }
}
