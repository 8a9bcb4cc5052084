// y[i] = f32(x[i])
//
// x: [VECTORS] f16   y: [VECTORS] f32. Launched with storage type f16.
// @use lib/elements
// @const THREADS:u32 EACH:u32
// @shape VECTORS
// @sample THREADS=64 EACH=2 VECTORS=5

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

alias Element = vec4f;

fn element(i: u32) -> Element { return load4(x[i]); }

fn put(i: u32, value: Element) { y[i] = value; }
