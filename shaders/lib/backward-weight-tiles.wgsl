// The gradient of a convolution's weight as a matrix product: out-channels by columns, along K the pixels. A column is a
// tap and an in-channel, numbered in one row (4·tap·C4 + c), so that few channels do not leave threads idle. Selects
// the tile of a workgroup, the values that its threads stage in workgroup memory in a step of TILE_K, and the place of a sum.
//
// A kernel binds x, dy, dw and foundInfinity, has THREADS, and declares stageLeft(k, group, value) and
// stageRight(k, group, value), which store a Group in workgroup memory: GROUP neighbouring rows or columns, which a thread
// loads at once.
//
// @use lib/mask lib/overflow

const LOADS_DY = TILE_K * TILE_M / GROUP / THREADS;
const LOADS_X = TILE_K * TILE_N / GROUP / THREADS;

const_assert LOADS_DY * THREADS * GROUP == TILE_K * TILE_M && LOADS_X * THREADS * GROUP == TILE_K * TILE_N;
// A thread loads x in one group of columns only, whose tap it computes once.
const_assert THREADS % (TILE_N / GROUP) == 0u;

struct Tile {
  slice: u32,
  firstChannel: u32,
  firstColumn: u32,
  columns: u32,
  // The pixels of the slice.
  begin: u32,
  end: u32,
}

fn tileOf(id: vec3u) -> Tile {
  let pixels = shape.N * shape.P * shape.Q;
  let steps = (pixels + TILE_K - 1u) / TILE_K;
  let perSlice = (steps + shape.SLICES - 1u) / shape.SLICES * TILE_K;
  let columns = 4u * shape.R * shape.S * ((shape.C + 3u) / 4u);
  return Tile(
    id.z, id.y * TILE_M, id.x * TILE_N, columns,
    id.z * perSlice, min(pixels, (id.z + 1u) * perSlice));
}

// The tap and the in-channels of which a thread loads x.
struct Loads {
  inside: bool,
  r: u32,
  s: u32,
  group: u32,
}

fn loadsOf(tile: Tile, thread: u32) -> Loads {
  let perTap = (shape.C + GROUP - 1u) / GROUP;
  let column = tile.firstColumn / GROUP + thread % (TILE_N / GROUP);
  let tap = column / perTap;
  return Loads(column < tile.columns / GROUP, tap / shape.S, tap % shape.S, column % perTap);
}

// Stages the pixels from k on, without branches, see lib/forward-tiles.
fn stageOperands(tile: Tile, loads: Loads, thread: u32, k: u32) {
  let groupsX = (shape.C + GROUP - 1u) / GROUP;
  let groupsDy = (shape.O + GROUP - 1u) / GROUP;
  for (var i = 0u; i < LOADS_DY; i++) { // @unroll
    let slot = thread + i * THREADS;
    let row = slot / (TILE_M / GROUP);
    let group = slot % (TILE_M / GROUP);
    let column = tile.firstChannel / GROUP + group;
    let inside = k + row < tile.end && column < groupsDy;
    let value = dy[select(0u, (k + row) * groupsDy + column, inside)];
    stageLeft(row, group, select(Group(), value, inside));
  }
  for (var i = 0u; i < LOADS_X; i++) { // @unroll
    let slot = thread + i * THREADS;
    let row = slot / (TILE_N / GROUP);
    let pixel = k + row;
    let n = pixel / (shape.P * shape.Q);
    let h = pixel / shape.Q % shape.P * shape.STRIDE - shape.PAD + loads.r;
    let w = pixel % shape.Q * shape.STRIDE - shape.PAD + loads.s;
    // Above or left of the image wraps to a huge number.
    let inside = pixel < tile.end && loads.inside && h < shape.H && w < shape.W;
    let value = x[select(0u, ((n * shape.H + h) * shape.W + w) * groupsX + loads.group, inside)];
    stageRight(row, slot % (TILE_N / GROUP), select(Group(), value, inside));
  }
}

// Row m and columns 4·n4 to 4·n4 + 3 of the tile.
fn storeResult(tile: Tile, m: u32, n4: u32, sum: vec4f) {
  let o = tile.firstChannel + m;
  let column = tile.firstColumn / 4u + n4;
  if (o < shape.O && column < tile.columns / 4u) {
    let value = masked(sum, column % ((shape.C + 3u) / 4u), shape.C, 0.0);
    dw[(tile.slice * shape.O + o) * (tile.columns / 4u) + column] = value;
    checkOverflow(isOverflow(value));
  }
}
