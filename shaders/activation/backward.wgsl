// dx[i] = dy[i] · f'(x[i]), 0 on the flat parts of those made of lines; f is the activation KIND of lib/activations
//
// x, dy, dx: [VECTORS] storage type
// @use lib/activations lib/elements
// @const THREADS:u32 EACH:u32 KIND:u32
// @shape VECTORS
// @sample THREADS=64 EACH=2 KIND=2 VECTORS=5

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

alias Element = T4;

fn element(i: u32) -> Element {
  let slope = slopeOf(KIND, load4(x[i]));
  var value = load4(dy[i]) * slope;
  // A NaN in dy does not pass where nothing does.
  if (KIND >= HARD_SIGMOID) { value = select(value, vec4f(), slope == vec4f()); }
  return store4(value);
}

fn put(i: u32, value: Element) { dx[i] = value; }
