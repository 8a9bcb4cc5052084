// dx[i] = dy[i] · (t + x[i]·(1 − t²)·σ(x[i])),  t = tanh(softplus(x[i])), σ the logistic function
//
// With e and n as in lib/mish, (1 − t²)·σ = 4·e·(e + 1) / (n + 2)², without cancellation.
//
// x, dy, dx: [VECTORS] storage type; one thread per vector of four
// @use lib/mish lib/nan
// @shape VECTORS
// @sample VECTORS=5

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < shape.VECTORS) {
    // Above LARGE the second term is 0 in f32, and has to stay so.
    let given = load4(x[i]);
    let value = select(min(given, vec4f(LARGE)), given, isNan(given));
    let e = exponential(value);
    let n = e * (e + 2.0);
    let slope = n / (n + 2.0) + value * (e / (n + 2.0)) * (4.0 * (e + 1.0) / (n + 2.0));
    dx[i] = store4(load4(dy[i]) * slope);
  }
}
