// y[n,p,c] = a[n,p,c] · b[n,c]; with PIXELS = 1, the product of two tensors of one shape
//
// a, y: [N,PIXELS,C]   b: [N,C] storage type; C = 4·COLUMNS; VECTORS of y in all
// @use lib/elements
// @const THREADS:u32 EACH:u32
// @shape VECTORS PIXELS COLUMNS
// @sample THREADS=64 EACH=2 VECTORS=210 PIXELS=35 COLUMNS=3

@group(0) @binding(0) var<storage, read> a: array<T4>;
@group(0) @binding(1) var<storage, read> b: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

alias Element = T4;

fn element(i: u32) -> Element {
  var j = i;
  if (shape.PIXELS > 1u) { j = i / (shape.PIXELS * shape.COLUMNS) * shape.COLUMNS + i % shape.COLUMNS; }
  return store4(load4(a[i]) * load4(b[j]));
}

fn put(i: u32, value: Element) { y[i] = value; }
