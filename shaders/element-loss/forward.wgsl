// losses[n,k] = the loss of output x = outputs[n,k] for target y = targets[n,k], in its four KINDs, 0 in the padding:
//
//   0  weight[k]·((1 - y)·max(x, 0) + t·max(-x, 0) + (1 - y + t)·log(1 + exp(-|x|))),  t = positive[k]·y
//      the cross-entropy of the logistic function of x, in a form in which nothing overflows and nothing cancels
//   1  (x - y)²
//   2  |x - y|
//   3  SCALE·(d²/2 where d = |x - y| < BETA, otherwise BETA·(d - BETA/2))
//
// outputs: [N,K] storage type, K padded to 4·COLUMNS   targets, losses: [N,K] f32   weight, positive: [K] f32, not read
// without WEIGHTED and POSITIVE
// Grid: one thread per vector of four.
// @use lib/mask lib/nan lib/element-loss
// @const KIND:u32 WEIGHTED:bool POSITIVE:bool BETA:f32 SCALE:f32
// @shape VECTORS COLUMNS K
// @sample KIND=0 WEIGHTED=true POSITIVE=true BETA=1 SCALE=1 VECTORS=15 COLUMNS=3 K=10

@group(0) @binding(0) var<storage, read> outputs: array<T4>;
@group(0) @binding(1) var<storage, read> targets: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> positive: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> losses: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i >= shape.VECTORS) { return; }
  let v = i % shape.COLUMNS;
  let x = load4(outputs[i]);
  let y = targets[i];
  let d = abs(x - y);
  var loss: vec4f;
  if (KIND == CROSS_ENTROPY) {
    var t = y;
    if (POSITIVE) { t *= positive[v]; }
    loss = (1.0 - y) * rectified(x) + t * rectified(-x) + (1.0 - y + t) * logOnePlus(expOrNan(-abs(x)));
    if (WEIGHTED) { loss *= weight[v]; }
  } else if (KIND == SQUARED) {
    loss = d * d;
  } else if (KIND == ABSOLUTE) {
    loss = d;
  } else {
    loss = SCALE * select(BETA * (d - 0.5 * BETA), 0.5 * d * d, d < vec4f(BETA));
  }
  losses[i] = masked(loss, v, shape.K, 0.0);
}

// log(1 + e) = 2·artanh(s), s = e / (2 + e), for e in [0,1]: its power series, whose rest is below 2^-28 of it. It keeps the
// digits of a small e, which 1 + e would lose.
fn logOnePlus(e: vec4f) -> vec4f {
  let s = e / (2.0 + e);
  let q = s * s;
  let odd = 1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q * (1.0 / 13.0 + q / 15.0)))));
  return 2.0 * s * (1.0 + q * odd);
}
