// y[n,p,q] = (x[n,p,q] - normalization[0]) · normalization[1], for images that were changed before they are normalized
//
// x: [VECTORS] pixels of three f32   normalization: [2,3] f32, mean and 1 / standard deviation
// y: [VECTORS] pixels of three, storage type, whose fourth number stays zero
// @use lib/elements
// @const THREADS:u32 EACH:u32
// @shape VECTORS
// @sample THREADS=64 EACH=2 VECTORS=5

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> normalization: array<vec4f, 2>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

alias Element = T4;

fn element(i: u32) -> Element { return store4(vec4f((x[i].rgb - normalization[0].rgb) * normalization[1].rgb, 0)); }

fn put(i: u32, value: Element) { y[i] = value; }
