// losses[n] = mix[n]·L(a[n]) + (1 - mix[n])·L(b[n]),  with z = logits[n], its logSum = log Σ exp(z[k]), w = weight or 1:
//   L(y) = -(1 - SMOOTHING)·w[y]·(z[y] - logSum) - SMOOTHING/K·Σ w[k]·(z[k] - logSum)
//   with GAMMA > 0, where SMOOTHING is 0:  L(y) = -w[y]·(1 - p)^GAMMA·log p,  log p = z[y] - logSum
// rows[n] = (largest z, logSum - largest z, A, B), for backward: A and B are what the gradient of the logits subtracts at
// a[n] and at b[n]; a row with a label of K or more has logSum NaN.  With WEIGHTED rows[N] = (0, Σ w[k], 0, 0)
//
// logits: [N,K] storage type, K padded to 4·VECTORS   a, b: [N] u32   mix: [N] f32   weight: [K] f32   losses: [N] f32
// rows: [N,4] f32, with WEIGHTED [N+1,4]
// Without MIXED b and mix are not read, without WEIGHTED weight. The largest logit is subtracted first, so that no
// exponential overflows.
// Grid: one lane per row of logits, whose vectors the rows of threads share.
// @use lib/rows lib/mask lib/long-sum lib/nan
// @const LANES:u32 ROWS:u32 MIXED:bool WEIGHTED:bool SMOOTHING:f32 GAMMA:f32
// @shape N K VECTORS
// @sample LANES=1 ROWS=8 MIXED=true WEIGHTED=true SMOOTHING=0.1 GAMMA=0 N=3 K=10 VECTORS=3

@group(0) @binding(0) var<storage, read> logits: array<T4>;
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read> mix: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> losses: array<f32>;
@group(0) @binding(6) var<storage, read_write> rows: array<vec4f>;

// The first vector of a thread's row, and the row's largest logit.
var<private> first: u32;
var<private> largest: f32;

// exp(z) and w·z, minus the largest
alias Sum = mat2x4f;

struct Loaded { v: u32, logits: T4 }

fn loaded(v: u32) -> Loaded { return Loaded(v, logits[first + v]); }

fn term(kept: Loaded) -> Sum {
  let z = load4(kept.logits) - largest;
  var weighted = z;
  if (WEIGHTED) { weighted *= weight[kept.v]; }
  return Sum(masked(expOrNan(z), kept.v, shape.K, 0.0), masked(weighted, kept.v, shape.K, 0.0));
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let n = workgroupIndex(group) * LANES + thread % LANES;
  // No early return: every thread must reach the barriers.
  let row = min(n, shape.N - 1u);
  first = row * shape.VECTORS;
  // A maximum may drop a NaN, whose exponential is one again.
  var top = vec4f(LOWEST);
  for (var v = thread / LANES; v < shape.VECTORS; v += ROWS) {
    top = max(top, masked(load4(logits[first + v]), v, shape.K, LOWEST));
  }
  top = maxRows(top, thread);
  largest = max(max(top.x, top.y), max(top.z, top.w));
  let most = countOf(0u, shape.VECTORS, ROWS);
  let own = longSum(thread / LANES, ROWS, countOf(thread / LANES, shape.VECTORS, ROWS), most);
  let exponentials = dot(sumRows(own[0], thread), vec4f(1.0));
  let mean = dot(sumRows(own[1], thread), vec4f(1.0)) / f32(shape.K);
  var meanWeight = 1.0;
  if (WEIGHTED && SMOOTHING > 0.0) {
    var weights = vec4f();
    for (var v = thread / LANES; v < shape.VECTORS; v += ROWS) { weights += masked(weight[v], v, shape.K, 0.0); }
    meanWeight = dot(sumRows(weights, thread), vec4f(1.0)) / f32(shape.K);
  }
  if (thread < LANES && n < shape.N) {
    var label = a[row];
    if (MIXED) { label = max(label, b[row]); }
    // Any bits combined with these are a NaN, which a driver cannot predict.
    let outside = bitcast<f32>(label | 0x7fc00000u);
    // SwiftShader's logarithm of a NaN is a number.
    let total = select(log(exponentials), exponentials, isNan(vec4f(exponentials)).x);
    let logSum = select(total, outside, label >= shape.K);
    if (WEIGHTED || GAMMA > 0.0) {
      var share = 1.0;
      if (MIXED) { share = mix[row]; }
      // (loss, subtracted gradient) of each label
      let ofA = share * (1.0 - SMOOTHING) * labelled(a[row], logSum);
      var ofB = vec2f();
      if (MIXED) { ofB = (1.0 - share) * (1.0 - SMOOTHING) * labelled(b[row], logSum); }
      losses[n] = ofA.x + ofB.x;
      if (SMOOTHING > 0.0) { losses[n] += SMOOTHING * (meanWeight * logSum - mean); }
      rows[n] = vec4f(largest, logSum, ofA.y, ofB.y);
      if (WEIGHTED && n == 0u) { rows[shape.N] = vec4f(0.0, meanWeight * f32(shape.K), 0.0, 0.0); }
    } else {
      var chosen = logit(a[row]);
      if (MIXED) { chosen = mix[row] * chosen + (1.0 - mix[row]) * logit(b[row]); }
      losses[n] = logSum - (1.0 - SMOOTHING) * chosen;
      // Otherwise a logit of -Inf, which leaves its class out, would make 0·Inf of it.
      if (SMOOTHING > 0.0) { losses[n] -= SMOOTHING * mean; }
      rows[n] = vec4f(largest, logSum, 0.0, 0.0);
    }
  } else if (thread < LANES && n < (shape.N + 3u) / 4u * 4u) {
    // Padding of the last axis is zero, as in any f32 tensor.
    losses[n] = 0.0;
  }
}

// Below every logit: the most negative f32.
const LOWEST = -3.4028234e38;

// Logit of a label minus the largest. Logits that are mixed before the subtraction would lose digits.
fn logit(label: u32) -> f32 {
  let k = min(label, shape.K - 1u);
  return load4(logits[first + k / 4u])[k % 4u] - largest;
}

// Loss of one label without smoothing, and minus its derivative with respect to log p.
fn labelled(label: u32, logSum: f32) -> vec2f {
  let k = min(label, shape.K - 1u);
  let logP = logit(label) - logSum;
  var w = 1.0;
  if (WEIGHTED) { w = weight[k / 4u][k % 4u]; }
  if (GAMMA > 0.0) {
    let p = expOrNan(vec4f(logP)).x;
    let rest = 1.0 - p;
    // Rounding takes `rest` to 0 or below, where pow is not defined; log p / (1 - p) tends to -1 there.
    let certain = rest <= 0.0;
    let factor = select(pow(rest, GAMMA), 0.0, certain);
    let slope = select(logP / rest, -1.0, certain);
    return vec2f(-w * factor * logP, w * factor * (1.0 - GAMMA * p * slope));
  }
  return vec2f(-w * logP, w);
}
