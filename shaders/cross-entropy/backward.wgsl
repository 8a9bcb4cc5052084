// dlogits[n,k] = (exp(z[k] - logSum) - q[k])·d,  z = logits[n];  d = with MEAN dloss/N, otherwise dloss[n]
//   q[k] = SMOOTHING/K + (1 - SMOOTHING)·(mix[n]·[k = a[n]] + (1 - mix[n])·[k = b[n]])
//
// logits, dlogits: [N,K] storage type, K padded to 4·VECTORS   a, b: [N] u32   mix: [N] f32   dloss: [] or [N] f32
// rows: [N,4] f32, see forward.wgsl. Without MIXED b and mix are not read. The padding of dlogits is zero.
// Grid: one thread per vector.
// @use lib/mask lib/nan
// @const MIXED:bool MEAN:bool SMOOTHING:f32
// @shape N K VECTORS
// @sample MIXED=true MEAN=true SMOOTHING=0.1 N=3 K=10 VECTORS=3

@group(0) @binding(0) var<storage, read> logits: array<T4>;
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read> mix: array<f32>;
@group(0) @binding(4) var<storage, read> rows: array<vec4f>;
@group(0) @binding(5) var<storage, read> dloss: array<f32>;
@group(0) @binding(6) var<storage, read_write> dlogits: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i >= shape.N * shape.VECTORS) { return; }
  let n = i / shape.VECTORS;
  let v = i % shape.VECTORS;
  let k = vec4u(4u * v) + vec4u(0u, 1u, 2u, 3u);
  var hit = select(vec4f(), vec4f(1.0), k == vec4u(a[n]));
  if (MIXED) { hit = mix[n] * hit + (1.0 - mix[n]) * select(vec4f(), vec4f(1.0), k == vec4u(b[n])); }
  let q = SMOOTHING / f32(shape.K) + (1.0 - SMOOTHING) * hit;
  var d = dloss[select(n, 0u, MEAN)];
  if (MEAN) { d /= f32(shape.N); }
  let probability = expOrNan(load4(logits[i]) - rows[n].x - rows[n].y);
  dlogits[i] = store4(masked((probability - q) * d, v, shape.K, 0.0));
}
