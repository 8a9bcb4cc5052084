// Gradients of parameters are looked through for infinities and NaN as they are written, so that nobody need read them
// again. A kernel binds foundInfinity, atomic<u32>, which is 1 from then on.

// What is not finite, its exponent bits tell.
fn isOverflow(values: vec4f) -> bool {
  let exponent = vec4u(0x7f800000u);
  return any((bitcast<vec4u>(values) & exponent) == exponent);
}

fn notice(overflow: bool) {
  if (overflow) { atomicStore(&foundInfinity, 1u); }
}
