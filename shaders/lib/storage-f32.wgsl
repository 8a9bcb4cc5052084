// Storage type f32: four channels are one vec4f. The same names as lib/storage-f16, chosen by the prelude.
alias T4 = vec4f;

fn load4(stored: T4) -> vec4f {
  return stored;
}

fn store4(value: vec4f) -> T4 {
  return value;
}
