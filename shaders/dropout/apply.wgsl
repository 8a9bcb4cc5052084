// y[i] = x[i]·SCALE where bit i mod 32 of mask[i div 32] is 1, otherwise x[i]·0: zero, or NaN for Inf and NaN
//
// x, y: [VECTORS] storage type, i counting the padding too   mask: [⌈VECTORS/8⌉] u32
// Forward on x, backward on dy.
// @use lib/elements
// @const THREADS:u32 EACH:u32 SCALE:f32
// @shape VECTORS
// @sample THREADS=64 EACH=2 SCALE=2 VECTORS=13

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

alias Element = T4;

fn element(i: u32) -> Element {
  let bits = mask[i / 8u] >> (i % 8u * 4u);
  let kept = (vec4u(bits) & vec4u(1u, 2u, 4u, 8u)) != vec4u();
  return store4(load4(x[i]) * select(vec4f(), vec4f(SCALE), kept));
}

fn put(i: u32, value: Element) { y[i] = value; }
