// y[i] = a[i] + b[i]
//
// a, b, y: [VECTORS] storage type
// @use lib/elements
// @const THREADS:u32 EACH:u32
// @shape VECTORS
// @sample THREADS=64 EACH=2 VECTORS=5

@group(0) @binding(0) var<storage, read> a: array<T4>;
@group(0) @binding(1) var<storage, read> b: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

alias Element = T4;

fn element(i: u32) -> Element { return store4(load4(a[i]) + load4(b[i])); }

fn put(i: u32, value: Element) { y[i] = value; }
