// A tile of 2·LANES rows by SUBGROUP columns of four, in the registers of one subgroup: sum i belongs to row i of the
// rows that lane i brings first, sum 16 + i to row i of those that it brings second.
//
// The sums are written out and not looped over: in a loop, a subgroup of sixteen lanes on Mesa's software adapter shuffles
// its lanes one by one (a sixth of the speed).
//
// The inner dimension goes by in steps of STEP, four or two, of which vectors hold as many in front. Whoever steps by two
// loads only these, which in f32 pays with sixteen lanes: that adapter writes out every load for each lane and word, and the
// code of a step of four is probably too long for the processor's caches of instructions (not measured by itself). Forward,
// at the shapes of xresnet18 at 64 px, GFLOP/s per core of an AMD EPYC (Zen 5): f32 50 with two and 35 with four, f16 60 and 68.
// @enable subgroups

// Lanes that bring rows: four, eight or sixteen, of larger subgroups the first.
const LANES = min(SUBGROUP, 16u);
const TILE = 2u * LANES;
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
  let two = fma(vec4f(a.y), w[1], fma(vec4f(a.x), w[0], sum));
  if (STEP == 2u) { return two; }
  return fma(vec4f(a.w), w[3], fma(vec4f(a.z), w[2], two));
}

// Adds a step: lane i has those of row i in `a`, of row LANES + i in `b`, and of its own columns in `w`.
@diagnostic(off, subgroup_uniformity)
fn addStep(tile: ptr<function, Tile>, a: vec4f, b: vec4f, w: mat4x4f) {
  (*tile).sum0 = addProduct((*tile).sum0, subgroupBroadcast(a, 0u), w);
  (*tile).sum1 = addProduct((*tile).sum1, subgroupBroadcast(a, 1u), w);
  (*tile).sum2 = addProduct((*tile).sum2, subgroupBroadcast(a, 2u), w);
  (*tile).sum3 = addProduct((*tile).sum3, subgroupBroadcast(a, 3u), w);
  (*tile).sum16 = addProduct((*tile).sum16, subgroupBroadcast(b, 0u), w);
  (*tile).sum17 = addProduct((*tile).sum17, subgroupBroadcast(b, 1u), w);
  (*tile).sum18 = addProduct((*tile).sum18, subgroupBroadcast(b, 2u), w);
  (*tile).sum19 = addProduct((*tile).sum19, subgroupBroadcast(b, 3u), w);
  if (LANES >= 8u) {
    (*tile).sum4 = addProduct((*tile).sum4, subgroupBroadcast(a, 4u), w);
    (*tile).sum5 = addProduct((*tile).sum5, subgroupBroadcast(a, 5u), w);
    (*tile).sum6 = addProduct((*tile).sum6, subgroupBroadcast(a, 6u), w);
    (*tile).sum7 = addProduct((*tile).sum7, subgroupBroadcast(a, 7u), w);
    (*tile).sum20 = addProduct((*tile).sum20, subgroupBroadcast(b, 4u), w);
    (*tile).sum21 = addProduct((*tile).sum21, subgroupBroadcast(b, 5u), w);
    (*tile).sum22 = addProduct((*tile).sum22, subgroupBroadcast(b, 6u), w);
    (*tile).sum23 = addProduct((*tile).sum23, subgroupBroadcast(b, 7u), w);
  }
  if (LANES == 16u) {
    (*tile).sum8 = addProduct((*tile).sum8, subgroupBroadcast(a, 8u), w);
    (*tile).sum9 = addProduct((*tile).sum9, subgroupBroadcast(a, 9u), w);
    (*tile).sum10 = addProduct((*tile).sum10, subgroupBroadcast(a, 10u), w);
    (*tile).sum11 = addProduct((*tile).sum11, subgroupBroadcast(a, 11u), w);
    (*tile).sum12 = addProduct((*tile).sum12, subgroupBroadcast(a, 12u), w);
    (*tile).sum13 = addProduct((*tile).sum13, subgroupBroadcast(a, 13u), w);
    (*tile).sum14 = addProduct((*tile).sum14, subgroupBroadcast(a, 14u), w);
    (*tile).sum15 = addProduct((*tile).sum15, subgroupBroadcast(a, 15u), w);
    (*tile).sum24 = addProduct((*tile).sum24, subgroupBroadcast(b, 8u), w);
    (*tile).sum25 = addProduct((*tile).sum25, subgroupBroadcast(b, 9u), w);
    (*tile).sum26 = addProduct((*tile).sum26, subgroupBroadcast(b, 10u), w);
    (*tile).sum27 = addProduct((*tile).sum27, subgroupBroadcast(b, 11u), w);
    (*tile).sum28 = addProduct((*tile).sum28, subgroupBroadcast(b, 12u), w);
    (*tile).sum29 = addProduct((*tile).sum29, subgroupBroadcast(b, 13u), w);
    (*tile).sum30 = addProduct((*tile).sum30, subgroupBroadcast(b, 14u), w);
    (*tile).sum31 = addProduct((*tile).sum31, subgroupBroadcast(b, 15u), w);
  }
}

// The sums by number, to be walked over: that of row i is number i / LANES * 16 + i % LANES.
fn sumsOf(tile: Tile) -> array<vec4f, 32> {
  return array<vec4f, 32>(
    tile.sum0, tile.sum1, tile.sum2, tile.sum3, tile.sum4, tile.sum5, tile.sum6, tile.sum7,
    tile.sum8, tile.sum9, tile.sum10, tile.sum11, tile.sum12, tile.sum13, tile.sum14, tile.sum15,
    tile.sum16, tile.sum17, tile.sum18, tile.sum19, tile.sum20, tile.sum21, tile.sum22, tile.sum23,
    tile.sum24, tile.sum25, tile.sum26, tile.sum27, tile.sum28, tile.sum29, tile.sum30, tile.sum31);
}
