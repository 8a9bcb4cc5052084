// y[p,c] = x[p,c] · scale[c]
//
// x, y: [PIXELS,C] storage type   scale: [C] f32; C = 4·COLUMNS; VECTORS of y in all
// @use lib/elements
// @const THREADS:u32 EACH:u32
// @shape VECTORS COLUMNS
// @sample THREADS=64 EACH=2 VECTORS=105 COLUMNS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> scale: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

alias Element = T4;

fn element(i: u32) -> Element { return store4(load4(x[i]) * scale[i % shape.COLUMNS]); }

fn put(i: u32, value: Element) { y[i] = value; }
