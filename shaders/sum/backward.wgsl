// dx[i] = dy for every element, 0 in the padding of the last axis
//
// dy: [] f32   dx: [rows,C] storage type, C padded to 4·COLUMNS
// @use lib/mask lib/elements
// @const THREADS:u32 EACH:u32
// @shape VECTORS COLUMNS C
// @sample THREADS=64 EACH=2 VECTORS=15 COLUMNS=3 C=10

@group(0) @binding(0) var<storage, read> dy: vec4f;
@group(0) @binding(1) var<storage, read_write> dx: array<T4>;

alias Element = T4;

fn element(i: u32) -> Element { return store4(masked(vec4f(dy.x), i % shape.COLUMNS, shape.C, 0.0)); }

fn put(i: u32, value: Element) { dx[i] = value; }
