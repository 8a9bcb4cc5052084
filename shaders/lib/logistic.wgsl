// The logistic function 1 / (1 + exp(-x)) of four numbers, or NaN, whose exponential never overflows. A shader that uses
// this also uses lib/nan.
fn logistic(x: vec4f) -> vec4f {
  let e = expOrNan(-abs(x));
  return select(vec4f(1.0), e, x < vec4f(0.0)) / (1.0 + e);
}
