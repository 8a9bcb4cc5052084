// dlogits[n,k] = (exp(z[k] - logSum)·Σ q - q[k])·d,  z = logits[n];  d = with MEAN dloss/N, otherwise dloss[n]
//   q[k] = SMOOTHING/K + (1 - SMOOTHING)·(mix[n]·[k = a[n]] + (1 - mix[n])·[k = b[n]]),  Σ q = 1
//   with WEIGHTED or GAMMA > 0:  q[k] = SMOOTHING/K·weight[k] + A[n]·[k = a[n]] + B[n]·[k = b[n]]
//   with WEIGHTED and MEAN:  d = dloss/rows[N].x, the weight of all rows, or 0 where that is 0
//
// logits, dlogits: [N,K] storage type, K padded to 4·VECTORS   a, b: [N] u32   mix: [N] f32   dloss: [] or [N] f32
// weight: [K] f32   rows: [N,4] or [N+1,4] f32, see forward.wgsl and weighted-mean.wgsl. Without MIXED b and mix are not
// read, without WEIGHTED weight. The padding of dlogits is zero.
// Grid: one thread per vector.
// @use lib/mask lib/nan
// @const MIXED:bool WEIGHTED:bool MEAN:bool SMOOTHING:f32 GAMMA:f32
// @shape N K VECTORS
// @sample MIXED=true WEIGHTED=true MEAN=true SMOOTHING=0.1 GAMMA=0 N=3 K=10 VECTORS=3

@group(0) @binding(0) var<storage, read> logits: array<T4>;
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read> mix: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<vec4f>;
@group(0) @binding(5) var<storage, read> rows: array<vec4f>;
@group(0) @binding(6) var<storage, read> dloss: array<f32>;
@group(0) @binding(7) var<storage, read_write> dlogits: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i >= shape.N * shape.VECTORS) { return; }
  let n = i / shape.VECTORS;
  let v = i % shape.VECTORS;
  let k = vec4u(4u * v) + vec4u(0u, 1u, 2u, 3u);
  var probability = expOrNan(load4(logits[i]) - rows[n].x - rows[n].y);
  var d = dloss[select(n, 0u, MEAN)];
  var q = vec4f();
  if (WEIGHTED || GAMMA > 0.0) {
    q = select(vec4f(), vec4f(rows[n].z), k == vec4u(a[n]));
    if (MIXED) { q += select(vec4f(), vec4f(rows[n].w), k == vec4u(b[n])); }
    var sum = rows[n].z + rows[n].w;
    if (WEIGHTED && SMOOTHING > 0.0) {
      q += SMOOTHING / f32(shape.K) * weight[v];
      sum += SMOOTHING / f32(shape.K) * rows[shape.N].y;
    }
    probability *= sum;
  } else {
    var hit = select(vec4f(), vec4f(1.0), k == vec4u(a[n]));
    if (MIXED) { hit = mix[n] * hit + (1.0 - mix[n]) * select(vec4f(), vec4f(1.0), k == vec4u(b[n])); }
    q = SMOOTHING / f32(shape.K) + (1.0 - SMOOTHING) * hit;
  }
  if (MEAN) {
    if (WEIGHTED) {
      let total = rows[shape.N].x;
      d = select(d / total, 0.0, total == 0.0);
    } else {
      d /= f32(shape.N);
    }
  }
  dlogits[i] = store4(masked((probability - q) * d, v, shape.K, 0.0));
}
