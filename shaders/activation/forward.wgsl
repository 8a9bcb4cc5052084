// y[p,c] = f(x[p,c]), 0 in the padding; f is the activation KIND of lib/activations
//
// x, y: [PIXELS,C] storage type
// @use lib/activations lib/mask lib/elements
// @const THREADS:u32 EACH:u32 KIND:u32
// @shape VECTORS C
// @sample THREADS=64 EACH=2 KIND=2 VECTORS=6 C=10

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;

alias Element = T4;

fn element(i: u32) -> Element {
  var value = valueOf(KIND, load4(x[i]));
  // The others are 0 at 0.
  if (KIND == SIGMOID || KIND == HARD_SIGMOID) { value = masked(value, i % ((shape.C + 3u) / 4u), shape.C, 0.0); }
  return store4(value);
}

fn put(i: u32, value: Element) { y[i] = value; }
