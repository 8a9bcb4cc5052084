// y[n,…] = x[n,…] · factors[n]: zero, or NaN for Inf and NaN, where the factor is 0
//
// x, y: [N,…] storage type, PER_IMAGE vectors of four per image   factors: [N] f32; VECTORS in all
// Forward on x, backward on dy.
// @use lib/elements
// @const THREADS:u32 EACH:u32
// @shape VECTORS PER_IMAGE
// @sample THREADS=64 EACH=2 VECTORS=15 PER_IMAGE=5

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

alias Element = T4;

fn element(i: u32) -> Element { return store4(load4(x[i]) * factors[i / shape.PER_IMAGE]); }

fn put(i: u32, value: Element) { y[i] = value; }
