// Vector number `vector` of a row of `size` elements, with `padding` in place of the elements beyond the row. With zeros, the
// padding channels of a result are zero even if an operand contains Inf.
fn masked(value: vec4f, vector: u32, size: u32, padding: f32) -> vec4f {
  return select(vec4f(padding), value, vec4u(4u * vector) + vec4u(0u, 1u, 2u, 3u) < vec4u(size));
}
