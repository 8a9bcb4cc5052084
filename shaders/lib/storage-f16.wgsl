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
// gradients and is found there. In integers: WGSL leaves open how pack2x16float rounds (AMD's Vulkan driver truncates,
// v_cvt_pk_rtz_f16_f32, Mesa 25.0.7, which would shrink every activation) and what it makes of such numbers, and a driver may
// assume that no value is one. Software adapters gain by it: llvmpipe, with vectors of 512 bits, takes a third of the time. Where
// the driver is known to do just this (NATIVE_HALVES), it does, in one instruction instead of sixteen for two numbers.
fn store4(value: vec4f) -> T4 {
  if (NATIVE_HALVES) { return vec2u(pack2x16float(value.xy), pack2x16float(value.zw)); }
  let given = bitcast<vec4u>(value);
  let magnitude = given & vec4u(0x7fffffffu);
  let rounded = (magnitude + vec4u(0xfffu) + ((magnitude >> vec4u(13u)) & vec4u(1u))) >> vec4u(13u);
  // Below 2^-14 halves are 2^-24 apart, as floats from 0.5 on are.
  let small = bitcast<vec4u>(bitcast<vec4f>(magnitude) + vec4f(0.5)) - vec4u(0x3f000000u);
  let finite = select(rounded - vec4u(0x1c000u), small, magnitude < vec4u(0x38800000u));
  let beyond = select(vec4u(0x7c00u), vec4u(0x7e00u), magnitude > vec4u(0x7f800000u));
  let half = select(finite, beyond, magnitude >= vec4u(0x477ff000u)) | ((given >> vec4u(16u)) & vec4u(0x8000u));
  return half.xz | (half.yw << vec2u(16u));
}

// The first two of four channels.
alias T2 = u32;

fn load2(stored: T2) -> vec2f {
  return unpack2x16float(stored);
}

fn store2(value: vec2f) -> T2 {
  return store4(vec4f(value, 0.0, 0.0)).x;
}
