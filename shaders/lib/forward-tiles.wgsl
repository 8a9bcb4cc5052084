// The forward convolution as a matrix product: pixels by out-channels, along K the taps and in-channels (r, s, c). Selects
// the tile of a workgroup, the values that its threads stage in workgroup memory in a step of TILE_K, and the place of a sum.
//
// A kernel binds x, weight and y, has THREADS, and declares stageLeft(m, group, value) and stageRight(n, group, value), which
// store a Group along K in workgroup memory: GROUP values, which a thread loads at once.
//
// @use lib/mask

const STEP = TILE_K / GROUP; // groups along K in a step
const LOADERS = THREADS / STEP; // threads that load the same group of different rows
const LOADS_X = TILE_M / LOADERS;
const LOADS_WEIGHT = TILE_N / LOADERS;
const OUTSIDE = 0x40000000u; // a row or column far beyond any image

const_assert STEP * GROUP == TILE_K && STEP % 2u == 0u && LOADERS * STEP == THREADS;
const_assert TILE_M % LOADERS == 0u && TILE_N % LOADERS == 0u;

struct Tile {
  firstPixel: u32,
  firstChannel: u32,
  // Along K.
  groups: u32,
}

fn tileOf(id: vec3u) -> Tile {
  let columns = (shape.O + TILE_N - 1u) / TILE_N;
  let index = workgroupIndex(id);
  return Tile(index / columns * TILE_M, index % columns * TILE_N, shape.R * shape.S * ((shape.C + GROUP - 1u) / GROUP));
}

fn isEmpty(tile: Tile) -> bool {
  return tile.firstPixel >= shape.N * shape.P * shape.Q;
}

// Loads of a thread: one group of every step, of these pixels and as many out-channels.
struct Loads {
  group: u32,
  loader: u32,
  top: array<u32, LOADS_X>,
  left: array<u32, LOADS_X>,
  corner: array<u32, LOADS_X>,
}

fn loadsOf(tile: Tile, thread: u32) -> Loads {
  var loads = Loads();
  loads.group = thread % STEP;
  loads.loader = thread / STEP;
  for (var i = 0u; i < LOADS_X; i++) { // @unroll
    let pixel = tile.firstPixel + loads.loader + i * LOADERS;
    let n = pixel / (shape.P * shape.Q);
    let top = pixel / shape.Q % shape.P * shape.STRIDE - shape.PAD;
    let left = pixel % shape.Q * shape.STRIDE - shape.PAD;
    loads.top[i] = select(OUTSIDE, top, pixel < shape.N * shape.P * shape.Q);
    loads.left[i] = left;
    loads.corner[i] = ((n * shape.H + top) * shape.W + left) * ((shape.C + GROUP - 1u) / GROUP);
  }
  return loads;
}

// The groups that a thread loads for one step.
struct Operands {
  left: array<Group, LOADS_X>,
  right: array<Group, LOADS_WEIGHT>,
}

// Loads the groups from k on; beyond the last they are zero. Values outside are read at index 0 and replaced by zero: with a branch
// around each load, AMD's compiler for RDNA3 (Mesa 25.0.7) waits for one before it asks for the next. Its estimates of a workgroup's
// latency are 0.6 (tile) and 0.4 (matrix) of those with branches, in the median of the networks' shapes. On an H200 both take the
// same time.
fn loadOperands(tile: Tile, loads: ptr<function, Loads>, thread: u32, k: u32) -> Operands {
  var operands: Operands;
  let perTap = (shape.C + GROUP - 1u) / GROUP;
  let loader = (*loads).loader;
  let group = k + (*loads).group;
  let tap = group / perTap;
  let r = tap / shape.S;
  let s = tap % shape.S;
  let step = (r * shape.W + s) * perTap + group % perTap;
  for (var i = 0u; i < LOADS_X; i++) { // @unroll
    // Above or left of the image wraps to a huge number.
    let inside = group < tile.groups && (*loads).top[i] + r < shape.H && (*loads).left[i] + s < shape.W;
    let value = x[select(0u, (*loads).corner[i] + step, inside)];
    operands.left[i] = select(Group(), value, inside);
  }
  for (var i = 0u; i < LOADS_WEIGHT; i++) { // @unroll
    let channel = loader + i * LOADERS;
    let inside = group < tile.groups && tile.firstChannel + channel < shape.O;
    let value = weight[select(0u, (tile.firstChannel + channel) * tile.groups + group, inside)];
    operands.right[i] = select(Group(), value, inside);
  }
  return operands;
}

// Stores a step in workgroup memory.
fn stageOperands(operands: Operands, loads: ptr<function, Loads>, thread: u32) {
  for (var i = 0u; i < LOADS_X; i++) { // @unroll
    stageLeft((*loads).loader + i * LOADERS, (*loads).group, operands.left[i]);
  }
  for (var i = 0u; i < LOADS_WEIGHT; i++) { // @unroll
    stageRight((*loads).loader + i * LOADERS, (*loads).group, operands.right[i]);
  }
}

// Row m and columns 4·n4 to 4·n4 + 3 of the tile.
fn storeResult(tile: Tile, m: u32, n4: u32, sum: vec4f) {
  let O4 = (shape.O + 3u) / 4u;
  let pixel = tile.firstPixel + m;
  let column = tile.firstChannel / 4u + n4;
  if (pixel < shape.N * shape.P * shape.Q && column < O4) {
    y[pixel * O4 + column] = store4(masked(sum, column, shape.O, 0.0));
  }
}
