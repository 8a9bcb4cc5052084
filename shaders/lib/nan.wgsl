// Functions that propagate NaN as PyTorch does. It is found by its bits, since WGSL lets a driver assume its absence: on Mesa's software
// adapter max(NaN, 0) is 0, and x != x is false.

fn isNan(values: vec4f) -> vec4<bool> {
  return (bitcast<vec4u>(values) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
}

// max(value, 0), or NaN. As integers with a sign, −∞ is the largest of −0 to −∞, and the NaNs with a sign come after it.
fn rectified(value: vec4f) -> vec4f {
  return select(value, vec4f(), bitcast<vec4i>(value) <= vec4i(-0x800000));
}

// True if `rectified` is not 0.
fn isPositive(value: vec4f) -> vec4<bool> {
  return bitcast<vec4u>(rectified(value)) != vec4u();
}

// True if a value replaces the largest so far: if it is larger, or a NaN.
fn exceeds(value: vec4f, largest: vec4f) -> vec4<bool> {
  return isNan(value) | ((value > largest) & !isNan(largest));
}

// exp(x), or NaN: SwiftShader's exp(NaN) is a number.
fn expOrNan(x: vec4f) -> vec4f {
  return select(exp(x), x, isNan(x));
}
