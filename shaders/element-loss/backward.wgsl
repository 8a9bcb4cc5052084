// doutputs[n,k] = d·(slope of the loss of x = outputs[n,k] with target y = targets[n,k]), by KIND as in forward.wgsl:
//
//   0  weight[k]·((1 - y)·σ(x) - t·σ(-x)),  t = positive[k]·y, σ the logistic function
//   1  2·(x - y)
//   2  sign(x - y), 0 at 0
//   3  SCALE·(x - y where |x - y| < BETA, otherwise BETA·sign(x - y))
//
// d = DIVISOR⁻¹ of dloss, by REDUCTION: 0 dloss[n,k], 1 dloss[n], 2 dloss, one number
//
// outputs, doutputs: [N,K] storage type, K padded to 4·COLUMNS   targets: [N,K] f32   weight, positive: [K] f32
// dloss: [N,K], [N] or [] f32. Grid: one thread per vector of four. The padding of doutputs is zero.
// @use lib/mask lib/nan lib/logistic lib/element-loss
// @const KIND:u32 WEIGHTED:bool POSITIVE:bool BETA:f32 SCALE:f32 REDUCTION:u32
// @shape VECTORS COLUMNS K DIVISOR
// @sample KIND=0 WEIGHTED=true POSITIVE=true BETA=1 SCALE=1 REDUCTION=2 VECTORS=15 COLUMNS=3 K=10 DIVISOR=50

@group(0) @binding(0) var<storage, read> outputs: array<T4>;
@group(0) @binding(1) var<storage, read> targets: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> positive: array<vec4f>;
@group(0) @binding(4) var<storage, read> dloss: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> doutputs: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i >= shape.VECTORS) { return; }
  let v = i % shape.COLUMNS;
  let n = i / shape.COLUMNS;
  let x = load4(outputs[i]);
  let y = targets[i];
  let difference = x - y;
  let side = select(sign(difference), difference, isNan(difference));
  var slope: vec4f;
  if (KIND == CROSS_ENTROPY) {
    var t = y;
    if (POSITIVE) { t *= positive[v]; }
    slope = (1.0 - y) * logistic(x) - t * logistic(-x);
    if (WEIGHTED) { slope *= weight[v]; }
  } else if (KIND == SQUARED) {
    slope = 2.0 * difference;
  } else if (KIND == ABSOLUTE) {
    slope = side;
  } else {
    slope = SCALE * select(BETA * side, difference, abs(difference) < vec4f(BETA));
  }
  var d: vec4f;
  if (REDUCTION == 0u) {
    d = dloss[i];
  } else if (REDUCTION == 1u) {
    d = vec4f(dloss[n / 4u][n % 4u]);
  } else {
    d = vec4f(dloss[0].x);
  }
  doutputs[i] = store4(masked(slope * (d / f32(shape.DIVISOR)), v, shape.K, 0.0));
}
