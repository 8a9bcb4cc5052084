// y[i] = max(x[i], 0), NaN where x[i] is
//
// x, y: [VECTORS] storage type
// @use lib/nan lib/elements
// @const THREADS:u32 EACH:u32
// @shape VECTORS
// @sample THREADS=64 EACH=2 VECTORS=5

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;

alias Element = T4;

fn element(i: u32) -> Element { return store4(rectified(load4(x[i]))); }

fn put(i: u32, value: Element) { y[i] = value; }
