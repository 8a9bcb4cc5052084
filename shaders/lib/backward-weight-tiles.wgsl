// The gradient of a convolution's weight as a matrix product: out-channels by columns, along K the pixels. A column is a
// tap and four in-channels, numbered in one row (tap·C4 + c/4), so that few channels do not leave threads idle. Which tile
// of it a workgroup computes, what its threads bring to workgroup memory in a step of TILE_K, and where a sum goes.
//
// A kernel binds x, dy, dw and foundInfinity, has THREADS, and says with keepLeft(k, m4, value) and keepRight(k, n4, value) where four
// neighbouring rows or columns lie in workgroup memory.
//
// @use lib/overflow

const LOADS_DY = TILE_K * TILE_M / 4u / THREADS;
const LOADS_X = TILE_K * TILE_N / 4u / THREADS;

const_assert LOADS_DY * THREADS * 4u == TILE_K * TILE_M && LOADS_X * THREADS * 4u == TILE_K * TILE_N;
// A thread loads x in one column only, whose tap it works out once.
const_assert THREADS % (TILE_N / 4u) == 0u;

struct Tile {
  slice: u32,
  // Of four out-channels.
  firstGroup: u32,
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
  let columns = shape.R * shape.S * ((shape.C + 3u) / 4u);
  return Tile(
    id.z, id.y * (TILE_M / 4u), id.x * (TILE_N / 4u), columns,
    id.z * perSlice, min(pixels, (id.z + 1u) * perSlice));
}

// The tap and the in-channels of which a thread loads x.
struct Loads {
  inside: bool,
  r: u32,
  s: u32,
  c4: u32,
}

fn loadsOf(tile: Tile, thread: u32) -> Loads {
  let C4 = (shape.C + 3u) / 4u;
  let column = tile.firstColumn + thread % (TILE_N / 4u);
  let tap = column / C4;
  return Loads(column < tile.columns, tap / shape.S, tap % shape.S, column % C4);
}

// Brings the pixels from k on, without branches, see lib/forward-tiles.
fn bring(tile: Tile, loads: Loads, thread: u32, k: u32) {
  let C4 = (shape.C + 3u) / 4u;
  let O4 = (shape.O + 3u) / 4u;
  for (var i = 0u; i < LOADS_DY; i++) {
    let slot = thread + i * THREADS;
    let row = slot / (TILE_M / 4u);
    let group = slot % (TILE_M / 4u);
    let inside = k + row < tile.end && tile.firstGroup + group < O4;
    let value = dy[select(0u, (k + row) * O4 + tile.firstGroup + group, inside)];
    keepLeft(row, group, select(T4(), value, inside));
  }
  for (var i = 0u; i < LOADS_X; i++) {
    let slot = thread + i * THREADS;
    let row = slot / (TILE_N / 4u);
    let pixel = k + row;
    let n = pixel / (shape.P * shape.Q);
    let h = pixel / shape.Q % shape.P * shape.STRIDE - shape.PAD + loads.r;
    let w = pixel % shape.Q * shape.STRIDE - shape.PAD + loads.s;
    // Above or left of the image wraps to a huge number.
    let inside = pixel < tile.end && loads.inside && h < shape.H && w < shape.W;
    let value = x[select(0u, ((n * shape.H + h) * shape.W + w) * C4 + loads.c4, inside)];
    keepRight(row, slot % (TILE_N / 4u), select(T4(), value, inside));
  }
}

// Row m and columns 4·n4 to 4·n4 + 3 of the tile.
fn put(tile: Tile, m: u32, n4: u32, sum: vec4f) {
  let o = tile.firstGroup * 4u + m;
  let column = tile.firstColumn + n4;
  if (o < shape.O && column < tile.columns) {
    // The padding channels are written as zero, whatever an infinity in dy made of them.
    let channels = vec4u(column % ((shape.C + 3u) / 4u) * 4u) + vec4u(0u, 1u, 2u, 3u);
    let value = select(vec4f(), sum, channels < vec4u(shape.C));
    dw[(tile.slice * shape.O + o) * tile.columns + column] = value;
    notice(isOverflow(value));
  }
}
