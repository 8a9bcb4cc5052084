// Values and slopes of the activations, by KIND (src/ops/activations.ts). A NaN passes; nothing overflows on the way.
// @use lib/nan lib/mish
const SIGMOID = 0u;
const SILU = 1u;
const GELU = 2u;
const GELU_TANH = 3u;
const MISH = 4u;
const HARD_SIGMOID = 5u;
const HARD_SWISH = 6u;
const RELU6 = 7u;

// |x|, at most `limit`, from which on a function has reached its end in f32.
fn magnitude(x: vec4f, limit: f32) -> vec4f {
  return select(min(abs(x), vec4f(limit)), x, isNan(x));
}

// σ(x) and 1 − σ(x), each without cancellation.
fn logistic(x: vec4f) -> mat2x4f {
  let e = expOrNan(-magnitude(x, 100.0));
  let near = 1.0 / (1.0 + e);
  let far = e * near;
  return mat2x4f(select(far, near, x >= vec4f()), select(near, far, x >= vec4f()));
}

// Distribution function of the normal distribution, Φ(x) = erfc(−x/√2)/2: the rational Chebyshev fit of erfc in Numerical
// Recipes, §6.2 (erfcc), whose relative error is at most 1.2e-7 everywhere.
fn normal(x: vec4f) -> vec4f {
  let z = magnitude(x, 20.0) * 0.7071067811865476;
  let t = 1.0 / (1.0 + 0.5 * z);
  let fit = -1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 + t * (0.27886807 +
    t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
  let tail = 0.5 * t * expOrNan(fit - z * z);
  return select(tail, 1.0 - tail, x >= vec4f());
}

// 2·√(2/π)·(x + 0.044715·x³), of which GELU's tanh form takes the logistic function: (1 + tanh(u))/2 = σ(2u).
const GELU_SLOPE = 1.5957691216057308;
const GELU_CUBE = 0.044715;

fn geluArgument(x: vec4f) -> vec4f {
  let near = select(clamp(x, vec4f(-30.0), vec4f(30.0)), x, isNan(x));
  return GELU_SLOPE * near * (1.0 + GELU_CUBE * near * near);
}

// min(max(x, 0), 6)
fn upToSix(x: vec4f) -> vec4f {
  let positive = rectified(x);
  return select(min(positive, vec4f(6.0)), x, isNan(x));
}

fn valueOf(kind: u32, x: vec4f) -> vec4f {
  switch kind {
    case SIGMOID: { return logistic(x)[0]; }
    case SILU: { return x * logistic(x)[0]; }
    case GELU: { return x * normal(x); }
    case GELU_TANH: { return x * logistic(geluArgument(x))[0]; }
    case MISH: { return mishOf(x); }
    case HARD_SIGMOID: { return upToSix(x + 3.0) / 6.0; }
    case HARD_SWISH: { return x * (upToSix(x + 3.0) / 6.0); }
    default: { return upToSix(x); }
  }
}

// The derivative; at a kink as in PyTorch 1.13.
fn slopeOf(kind: u32, x: vec4f) -> vec4f {
  switch kind {
    case SIGMOID: {
      let s = logistic(x);
      return s[0] * s[1];
    }
    case SILU: {
      let s = logistic(x);
      return s[0] + s[0] * (x * s[1]);
    }
    case GELU: {
      let z = magnitude(x, 20.0);
      return normal(x) + x * (0.3989422804014327 * expOrNan(-0.5 * z * z));
    }
    case GELU_TANH: {
      let s = logistic(geluArgument(x));
      let near = select(clamp(x, vec4f(-30.0), vec4f(30.0)), x, isNan(x));
      return s[0] + s[0] * s[1] * (GELU_SLOPE * near * (1.0 + 3.0 * GELU_CUBE * near * near));
    }
    case MISH: { return mishSlope(x); }
    case HARD_SIGMOID: { return select(vec4f(), vec4f(1.0 / 6.0), (x > vec4f(-3.0)) & (x < vec4f(3.0))); }
    case HARD_SWISH: {
      let inside = select(x / 3.0 + 0.5, vec4f(1.0), (x > vec4f(3.0)) | isNan(x));
      return select(inside, vec4f(), (x < vec4f(-3.0)) & !isNan(x));
    }
    default: { return select(vec4f(1.0), vec4f(), ((x <= vec4f()) | (x >= vec4f(6.0))) & !isNan(x)); }
  }
}
