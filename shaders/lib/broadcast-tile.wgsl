// A tile in the registers of one subgroup: 2·LANES rows by SUBGROUP columns of four. Sum i belongs to the row that lane i
// loads first, sum 16 + i to the row that it loads second.
//
// A narrow tile has 4·LANES rows by SUBGROUP columns of two: a third and a fourth row of the lane use the second halves of
// these sums.
//
// The sums are written out and not looped over: in a loop, a subgroup of sixteen lanes on Mesa's software adapter shuffles
// its lanes one by one (a sixth of the speed).
//
// The inner dimension goes by in steps of STEP, four or two, whose values are the first of each vector. A kernel with steps
// of two loads only these, which in f32 pays with sixteen lanes: that adapter writes out every load for each lane and word, and the
// code of a step of four is probably too long for the processor's caches of instructions (not measured by itself). Forward,
// at the shapes of xresnet18 at 64 px, GFLOP/s per core of an AMD EPYC (Zen 5): f32 50 with two and 35 with four, f16 60 and 68.
// @enable subgroups

// Number of lanes that load rows: four, eight or sixteen; the first ones of larger subgroups.
const LANES = min(SUBGROUP, 16u);
// Number of rows of a kernel with COLUMNS columns per lane.
const TILE = 8u / COLUMNS * LANES;
const NARROW = COLUMNS == 2u;
const_assert COLUMNS == 4u || NARROW;
const_assert STEP == 4u || STEP == 2u;

struct Tile {
  sum0: vec4f, sum1: vec4f, sum2: vec4f, sum3: vec4f,
  sum4: vec4f, sum5: vec4f, sum6: vec4f, sum7: vec4f,
  sum8: vec4f, sum9: vec4f, sum10: vec4f, sum11: vec4f,
  sum12: vec4f, sum13: vec4f, sum14: vec4f, sum15: vec4f,
  sum16: vec4f, sum17: vec4f, sum18: vec4f, sum19: vec4f,
  sum20: vec4f, sum21: vec4f, sum22: vec4f, sum23: vec4f,
  sum24: vec4f, sum25: vec4f, sum26: vec4f, sum27: vec4f,
  sum28: vec4f, sum29: vec4f, sum30: vec4f, sum31: vec4f,
}

fn addProduct(sum: vec4f, a: vec4f, w: mat4x4f) -> vec4f {
  return addProducts(sum, a, a, w);
}

// Adds the product of row `a` to the first half of a sum, that of row `c` to the second.
fn addProducts(sum: vec4f, a: vec4f, c: vec4f, w: mat4x4f) -> vec4f {
  let two = fma(vec4f(a.yy, c.yy), w[1], fma(vec4f(a.xx, c.xx), w[0], sum));
  if (STEP == 2u) { return two; }
  return fma(vec4f(a.ww, c.ww), w[3], fma(vec4f(a.zz, c.zz), w[2], two));
}

// Operands that a lane loads in a step: the inner dimension of its rows, the third and fourth being its first and second again
// where the tile is not narrow.
struct Rows { a: vec4f, b: vec4f, c: vec4f, d: vec4f }

// Adds a step: `w` has that of a lane's own columns, twice where the tile is narrow.
@diagnostic(off, subgroup_uniformity)
fn addStep(tile: ptr<function, Tile>, rows: Rows, w: mat4x4f) {
  (*tile).sum0 = addProducts((*tile).sum0, subgroupBroadcast(rows.a, 0u), subgroupBroadcast(rows.c, 0u), w);
  (*tile).sum1 = addProducts((*tile).sum1, subgroupBroadcast(rows.a, 1u), subgroupBroadcast(rows.c, 1u), w);
  (*tile).sum2 = addProducts((*tile).sum2, subgroupBroadcast(rows.a, 2u), subgroupBroadcast(rows.c, 2u), w);
  (*tile).sum3 = addProducts((*tile).sum3, subgroupBroadcast(rows.a, 3u), subgroupBroadcast(rows.c, 3u), w);
  (*tile).sum16 = addProducts((*tile).sum16, subgroupBroadcast(rows.b, 0u), subgroupBroadcast(rows.d, 0u), w);
  (*tile).sum17 = addProducts((*tile).sum17, subgroupBroadcast(rows.b, 1u), subgroupBroadcast(rows.d, 1u), w);
  (*tile).sum18 = addProducts((*tile).sum18, subgroupBroadcast(rows.b, 2u), subgroupBroadcast(rows.d, 2u), w);
  (*tile).sum19 = addProducts((*tile).sum19, subgroupBroadcast(rows.b, 3u), subgroupBroadcast(rows.d, 3u), w);
  if (LANES >= 8u) {
    (*tile).sum4 = addProducts((*tile).sum4, subgroupBroadcast(rows.a, 4u), subgroupBroadcast(rows.c, 4u), w);
    (*tile).sum5 = addProducts((*tile).sum5, subgroupBroadcast(rows.a, 5u), subgroupBroadcast(rows.c, 5u), w);
    (*tile).sum6 = addProducts((*tile).sum6, subgroupBroadcast(rows.a, 6u), subgroupBroadcast(rows.c, 6u), w);
    (*tile).sum7 = addProducts((*tile).sum7, subgroupBroadcast(rows.a, 7u), subgroupBroadcast(rows.c, 7u), w);
    (*tile).sum20 = addProducts((*tile).sum20, subgroupBroadcast(rows.b, 4u), subgroupBroadcast(rows.d, 4u), w);
    (*tile).sum21 = addProducts((*tile).sum21, subgroupBroadcast(rows.b, 5u), subgroupBroadcast(rows.d, 5u), w);
    (*tile).sum22 = addProducts((*tile).sum22, subgroupBroadcast(rows.b, 6u), subgroupBroadcast(rows.d, 6u), w);
    (*tile).sum23 = addProducts((*tile).sum23, subgroupBroadcast(rows.b, 7u), subgroupBroadcast(rows.d, 7u), w);
  }
  if (LANES == 16u) {
    (*tile).sum8 = addProducts((*tile).sum8, subgroupBroadcast(rows.a, 8u), subgroupBroadcast(rows.c, 8u), w);
    (*tile).sum9 = addProducts((*tile).sum9, subgroupBroadcast(rows.a, 9u), subgroupBroadcast(rows.c, 9u), w);
    (*tile).sum10 = addProducts((*tile).sum10, subgroupBroadcast(rows.a, 10u), subgroupBroadcast(rows.c, 10u), w);
    (*tile).sum11 = addProducts((*tile).sum11, subgroupBroadcast(rows.a, 11u), subgroupBroadcast(rows.c, 11u), w);
    (*tile).sum12 = addProducts((*tile).sum12, subgroupBroadcast(rows.a, 12u), subgroupBroadcast(rows.c, 12u), w);
    (*tile).sum13 = addProducts((*tile).sum13, subgroupBroadcast(rows.a, 13u), subgroupBroadcast(rows.c, 13u), w);
    (*tile).sum14 = addProducts((*tile).sum14, subgroupBroadcast(rows.a, 14u), subgroupBroadcast(rows.c, 14u), w);
    (*tile).sum15 = addProducts((*tile).sum15, subgroupBroadcast(rows.a, 15u), subgroupBroadcast(rows.c, 15u), w);
    (*tile).sum24 = addProducts((*tile).sum24, subgroupBroadcast(rows.b, 8u), subgroupBroadcast(rows.d, 8u), w);
    (*tile).sum25 = addProducts((*tile).sum25, subgroupBroadcast(rows.b, 9u), subgroupBroadcast(rows.d, 9u), w);
    (*tile).sum26 = addProducts((*tile).sum26, subgroupBroadcast(rows.b, 10u), subgroupBroadcast(rows.d, 10u), w);
    (*tile).sum27 = addProducts((*tile).sum27, subgroupBroadcast(rows.b, 11u), subgroupBroadcast(rows.d, 11u), w);
    (*tile).sum28 = addProducts((*tile).sum28, subgroupBroadcast(rows.b, 12u), subgroupBroadcast(rows.d, 12u), w);
    (*tile).sum29 = addProducts((*tile).sum29, subgroupBroadcast(rows.b, 13u), subgroupBroadcast(rows.d, 13u), w);
    (*tile).sum30 = addProducts((*tile).sum30, subgroupBroadcast(rows.b, 14u), subgroupBroadcast(rows.d, 14u), w);
    (*tile).sum31 = addProducts((*tile).sum31, subgroupBroadcast(rows.b, 15u), subgroupBroadcast(rows.d, 15u), w);
  }
}

// Selects the value of the lane that loads a row: of its rows a, b and, where the tile is narrow, c and d.
@diagnostic(off, subgroup_uniformity)
fn ofRow(row: u32, a: u32, b: u32, c: u32, d: u32) -> u32 {
  var own = select(a, b, row >= LANES);
  if (NARROW) { own = select(own, select(c, d, row >= 3u * LANES), row >= 2u * LANES); }
  return subgroupShuffle(own, row % LANES);
}

// The sums as an array for loops: that of row i is number numberOf(i), where the tile is narrow its half i / (2·LANES).
fn numberOf(row: u32) -> u32 { return row / LANES % 2u * 16u + row % LANES; }

fn sumsOf(tile: Tile) -> array<vec4f, 32> {
  return array<vec4f, 32>(
    tile.sum0, tile.sum1, tile.sum2, tile.sum3, tile.sum4, tile.sum5, tile.sum6, tile.sum7,
    tile.sum8, tile.sum9, tile.sum10, tile.sum11, tile.sum12, tile.sum13, tile.sum14, tile.sum15,
    tile.sum16, tile.sum17, tile.sum18, tile.sum19, tile.sum20, tile.sum21, tile.sum22, tile.sum23,
    tile.sum24, tile.sum25, tile.sum26, tile.sum27, tile.sum28, tile.sum29, tile.sum30, tile.sum31);
}
