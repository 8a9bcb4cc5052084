// y[i] = f16(x[i]), to nearest even; numbers that are too large become Inf
//
// x: [VECTORS] f32   y: [VECTORS] f16. Launched with storage type f16.
// @use lib/elements
// @const THREADS:u32 EACH:u32
// @shape VECTORS
// @sample THREADS=64 EACH=2 VECTORS=5

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;

alias Element = T4;

fn element(i: u32) -> Element { return store4(x[i]); }

fn put(i: u32, value: Element) { y[i] = value; }
