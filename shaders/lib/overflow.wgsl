// Checks gradients of parameters for Inf and NaN as they are written, so that no further launch has to read them. A kernel
// binds foundInfinity, atomic<u32>, which becomes 1 at the first such number.

// Inf and NaN have all exponent bits set.
fn isOverflow(values: vec4f) -> bool {
  let exponent = vec4u(0x7f800000u);
  return any((bitcast<vec4u>(values) & exponent) == exponent);
}

fn checkOverflow(overflow: bool) {
  if (overflow) { atomicStore(&foundInfinity, 1u); }
}
