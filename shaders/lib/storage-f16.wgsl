// Storage type f16: four channels packed into two u32, without the device feature shader-f16; arithmetic is f32.
alias T4 = vec2u;

fn load4(stored: T4) -> vec4f {
  return vec4f(unpack2x16float(stored.x), unpack2x16float(stored.y));
}

// Pairs of words, for kernels that load fewer than four channels at a time: in f16 four channels are one pair.
alias Pair = vec2u;
const PAIRS = 1u;

fn loadPairs(first: Pair, second: Pair) -> vec4f {
  return load4(first);
}

// Rounds to nearest even; numbers from 65520 on become Inf of their sign and a NaN stays one, so that either reaches the
// gradients and is found there. WGSL leaves pack2x16float of such values undefined, and a driver may
// assume that no value is one: therefore the tests of the bits, and the largest finite half, 0x7bff, to which 1 is added
// for an infinity and 0x201 for a NaN.
//
// WGSL also leaves open how pack2x16float rounds, and AMD's Vulkan driver truncates (v_cvt_pk_rtz_f16_f32, Mesa 25.0.7),
// which would shrink every activation. So the bits beyond a half are rounded here; below 2^-14, where halves are
// 2^-24 apart, it is left to the driver.
fn store4(value: vec4f) -> T4 {
  let given = bitcast<vec4u>(value);
  let magnitude = given & vec4u(0x7fffffffu);
  let nearest = (given + vec4u(0xfffu) + ((given >> vec4u(13u)) & vec4u(1u))) & vec4u(0xffffe000u);
  let bits = select(given, nearest, magnitude >= vec4u(0x38800000u));
  let overflow = magnitude >= vec4u(0x477ff000u);
  let finite = bitcast<vec4f>(select(bits, (given & vec4u(0x80000000u)) | vec4u(0x477fe000u), overflow));
  let one = vec4u(1u, 0x10000u, 1u, 0x10000u);
  let carry = select(select(vec4u(0u), one, overflow), one * 0x201u, magnitude > vec4u(0x7f800000u));
  return vec2u(pack2x16float(finite.xy) + (carry.x | carry.y), pack2x16float(finite.zw) + (carry.z | carry.w));
}

// The first two of four channels.
alias T2 = u32;

fn load2(stored: T2) -> vec2f {
  return unpack2x16float(stored);
}

fn store2(value: vec2f) -> T2 {
  return store4(vec4f(value, 0.0, 0.0)).x;
}
