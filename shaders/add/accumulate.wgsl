// total[i] += x[i]
//
// x, total: [VECTORS] f32
// @use lib/elements
// @const THREADS:u32 EACH:u32
// @shape VECTORS
// @sample THREADS=64 EACH=2 VECTORS=5

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> total: array<vec4f>;

alias Element = vec4f;

fn element(i: u32) -> Element { return total[i] + x[i]; }

fn put(i: u32, value: Element) { total[i] = value; }
