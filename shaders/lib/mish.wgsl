// @use lib/nan
// tanh(softplus(x)) without the logarithm: with e = exp(x), n = e·(e + 2) it is n / (n + 2). From x = LARGE on it is 1
// in f32, and e² could overflow soon after.
const LARGE = 20.0;

fn exponential(x: vec4f) -> vec4f {
  return exp(min(x, vec4f(LARGE)));
}

// x · tanh(softplus(x))
fn mishOf(x: vec4f) -> vec4f {
  let e = exponential(x);
  let n = e * (e + 2.0);
  return x * (n / (n + 2.0));
}

// t + x·(1 − t²)·σ(x), t = tanh(softplus(x)), σ the logistic function: (1 − t²)·σ = 4·e·(e + 1) / (n + 2)², without
// cancellation. Above LARGE the second term is 0 in f32, and has to stay so.
fn mishSlope(x: vec4f) -> vec4f {
  let value = select(min(x, vec4f(LARGE)), x, isNan(x));
  let e = exponential(value);
  let n = e * (e + 2.0);
  return n / (n + 2.0) + value * (e / (n + 2.0)) * (4.0 * (e + 1.0) / (n + 2.0));
}
