// Storage type f32: four channels are one vec4f. The same names as lib/storage-f16, chosen by the prelude.
alias T4 = vec4f;

fn load4(stored: T4) -> vec4f {
  return stored;
}

// Four channels are two pairs of words.
alias Pair = vec2f;
const PAIRS = 2u;

fn loadPairs(first: Pair, second: Pair) -> vec4f {
  return vec4f(first, second);
}

fn store4(value: vec4f) -> T4 {
  return value;
}

// The first two of four channels.
alias T2 = vec2f;

fn load2(stored: T2) -> vec2f {
  return stored;
}

fn store2(value: vec2f) -> T2 {
  return value;
}
