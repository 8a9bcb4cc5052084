// dx[i] = dy[i] where y[i] is above 0 or NaN, otherwise 0
//
// y, dy, dx: [VECTORS] storage type
// @use lib/nan lib/elements
// @const THREADS:u32 EACH:u32
// @shape VECTORS
// @sample THREADS=64 EACH=2 VECTORS=5

@group(0) @binding(0) var<storage, read> y: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

alias Element = T4;

fn element(i: u32) -> Element { return store4(select(vec4f(0.0), load4(dy[i]), isPositive(load4(y[i])))); }

fn put(i: u32, value: Element) { dx[i] = value; }
