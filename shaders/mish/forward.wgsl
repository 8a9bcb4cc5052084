// y[i] = x[i] · tanh(softplus(x[i]))
//
// x, y: [VECTORS] storage type; one thread per vector of four
// @use lib/mish
// @shape VECTORS
// @sample VECTORS=5

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < shape.VECTORS) {
    let value = load4(x[i]);
    let e = exponential(value);
    let n = e * (e + 2.0);
    y[i] = store4(value * (n / (n + 2.0)));
  }
}
