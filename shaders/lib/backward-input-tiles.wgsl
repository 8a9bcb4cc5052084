// The gradient of a convolution's input as a matrix product: pixels by in-channels, along K the taps and out-channels
// (r, s, o). Selects the tile of a workgroup, the values that its threads stage in workgroup memory in a step of TILE_K,
// and the place of a sum. Pixels are taken class by class of their row and column modulo STRIDE, and a class has its own taps
// only, see lib/backward-input-broadcast.
//
// A kernel binds dy, weight and dx, has THREADS, and declares where a Group of values, which a thread loads at once, is staged in
// workgroup memory: with stageLeft(m, group, value) GROUP of them along K, with stageRight(k, group, value) as many columns.
//
// @use lib/mask

const STEP = TILE_K / GROUP; // groups along K in a step
const LOADERS = THREADS / STEP; // threads that load the same group of different rows
const LOADS_DY = TILE_M / LOADERS;
const LOADS_WEIGHT = TILE_K * TILE_N / GROUP / THREADS;
const OUTSIDE = 0x40000000u; // a row or column far beyond any image

const_assert STEP * GROUP == TILE_K && STEP % 2u == 0u && LOADERS * STEP == THREADS;
const_assert TILE_M % LOADERS == 0u && LOADS_WEIGHT * THREADS * GROUP == TILE_K * TILE_N;

struct Tile {
  // The class: row and column modulo STRIDE; size and number of pixels of its images.
  offsetH: u32,
  offsetW: u32,
  height: u32,
  width: u32,
  pixels: u32,
  firstPixel: u32,
  firstChannel: u32,
  // The taps of this class: r0, r0 + STRIDE, … of the rows, s0, s0 + STRIDE, … of the columns, of which there are tapsS, 1 if none.
  r0: u32,
  s0: u32,
  tapsS: u32,
  // Along K.
  groups: u32,
}

fn tileOf(id: vec3u) -> Tile {
  let height = (shape.H + shape.STRIDE - 1u) / shape.STRIDE;
  let width = (shape.W + shape.STRIDE - 1u) / shape.STRIDE;
  let pixels = shape.N * height * width;
  let tiles = (pixels + TILE_M - 1u) / TILE_M;
  let columns = (shape.C + TILE_N - 1u) / TILE_N;
  let index = workgroupIndex(id);
  let parity = index / (tiles * columns);
  let offsetH = parity / shape.STRIDE;
  let offsetW = parity % shape.STRIDE;
  let r0 = (offsetH + shape.PAD) % shape.STRIDE;
  let s0 = (offsetW + shape.PAD) % shape.STRIDE;
  let tapsR = (max(shape.R, r0) - r0 + shape.STRIDE - 1u) / shape.STRIDE;
  let tapsS = (max(shape.S, s0) - s0 + shape.STRIDE - 1u) / shape.STRIDE;
  return Tile(
    offsetH, offsetW, height, width, pixels,
    index / columns % tiles * TILE_M, index % columns * TILE_N,
    r0, s0, max(tapsS, 1u), tapsR * tapsS * ((shape.O + GROUP - 1u) / GROUP));
}

fn isEmpty(tile: Tile) -> bool {
  return tile.offsetH >= shape.STRIDE;
}

// Loads of a thread: one group of every step of these pixels of dy, where tap i is i rows higher.
struct Loads {
  group: u32,
  loader: u32,
  bottom: array<u32, LOADS_DY>,
  right: array<u32, LOADS_DY>,
  corner: array<u32, LOADS_DY>,
}

fn loadsOf(tile: Tile, thread: u32) -> Loads {
  var loads = Loads();
  loads.group = thread % STEP;
  loads.loader = thread / STEP;
  for (var i = 0u; i < LOADS_DY; i++) { // @unroll
    let pixel = tile.firstPixel + loads.loader + i * LOADERS;
    let n = pixel / (tile.height * tile.width);
    let bottom = pixel / tile.width % tile.height + (tile.offsetH + shape.PAD) / shape.STRIDE;
    let right = pixel % tile.width + (tile.offsetW + shape.PAD) / shape.STRIDE;
    loads.bottom[i] = select(OUTSIDE, bottom, pixel < tile.pixels);
    loads.right[i] = right;
    loads.corner[i] = ((n * shape.P + bottom) * shape.Q + right) * ((shape.O + GROUP - 1u) / GROUP);
  }
  return loads;
}

// The groups that a thread loads for one step.
struct Operands {
  left: array<Group, LOADS_DY>,
  right: array<Group, LOADS_WEIGHT>,
}

// Loads the groups from k on, beyond the last zero, without branches, see lib/forward-tiles.
fn loadOperands(tile: Tile, loads: ptr<function, Loads>, thread: u32, k: u32) -> Operands {
  var operands: Operands;
  let columns = (shape.C + GROUP - 1u) / GROUP;
  let perTap = (shape.O + GROUP - 1u) / GROUP;
  let group = k + (*loads).group;
  let tap = group / perTap;
  let up = tap / tile.tapsS;
  let back = tap % tile.tapsS;
  let step = group % perTap - (up * shape.Q + back) * perTap;
  for (var i = 0u; i < LOADS_DY; i++) { // @unroll
    // An index below zero wraps to a huge number.
    let inside = group < tile.groups && (*loads).bottom[i] - up < shape.P && (*loads).right[i] - back < shape.Q;
    let value = dy[select(0u, (*loads).corner[i] + step, inside)];
    operands.left[i] = select(Group(), value, inside);
  }
  for (var i = 0u; i < LOADS_WEIGHT; i++) { // @unroll
    let slot = thread + i * THREADS;
    let row = slot / (TILE_N / GROUP);
    let column = tile.firstChannel / GROUP + slot % (TILE_N / GROUP);
    let rowTap = (k + row / GROUP) / perTap;
    let r = tile.r0 + rowTap / tile.tapsS * shape.STRIDE;
    let s = tile.s0 + rowTap % tile.tapsS * shape.STRIDE;
    let o = (k + row / GROUP) % perTap * GROUP + row % GROUP;
    let inside = k + row / GROUP < tile.groups && o < shape.O && column < columns;
    let value = weight[select(0u, ((o * shape.R + r) * shape.S + s) * columns + column, inside)];
    operands.right[i] = select(Group(), value, inside);
  }
  return operands;
}

// Stores a step in workgroup memory.
fn stageOperands(operands: Operands, loads: ptr<function, Loads>, thread: u32) {
  for (var i = 0u; i < LOADS_DY; i++) { // @unroll
    stageLeft((*loads).loader + i * LOADERS, (*loads).group, operands.left[i]);
  }
  for (var i = 0u; i < LOADS_WEIGHT; i++) { // @unroll
    let slot = thread + i * THREADS;
    stageRight(slot / (TILE_N / GROUP), slot % (TILE_N / GROUP), operands.right[i]);
  }
}

// Row m and columns 4·n4 to 4·n4 + 3 of the tile.
fn storeResult(tile: Tile, m: u32, n4: u32, sum: vec4f) {
  let C4 = (shape.C + 3u) / 4u;
  let pixel = tile.firstPixel + m;
  let column = tile.firstChannel / 4u + n4;
  let n = pixel / (tile.height * tile.width);
  let h = pixel / tile.width % tile.height * shape.STRIDE + tile.offsetH;
  let w = pixel % tile.width * shape.STRIDE + tile.offsetW;
  if (pixel < tile.pixels && h < shape.H && w < shape.W && column < C4) {
    dx[((n * shape.H + h) * shape.W + w) * C4 + column] = store4(masked(sum, column, shape.C, 0.0));
  }
}
