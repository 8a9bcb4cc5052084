// The gradient of a convolution's input without workgroup memory, the twin of lib/forward-broadcast: one workgroup is one
// subgroup and computes a tile (lib/broadcast-tile) of pixels by in-channels.
//
// With a stride, the taps that reach a pixel depend on its row and column modulo STRIDE. Pixels are therefore taken class
// by class, STRIDE² of them, and a class walks over its own taps only (of a 3×3 kernel with stride 2: one, two, two and
// four taps), so nothing is multiplied by inserted zeros.
//
// A kernel binds dy and weight and declares COLUMNS per lane, four or two, weightsAt(at, column), which loads the vector of
// in-channels of its columns, twice for two columns, and storeResult(place, column, sum, further), which stores a sum of
// the vector `column` of channels at pixel `place`, in a narrow kernel its first or its `further` half.
//
// Grid: a count, STRIDE² · ceil(N·ceil(H/STRIDE)·ceil(W/STRIDE) / TILE) · ceil(C / (COLUMNS·SUBGROUP)).
//
// @use lib/broadcast-tile lib/pixel-order

const NOWHERE = 0xffffffffu;
// Pairs of words in a step, and the last of them, which is the first again where a step has one.
const ADVANCE = STEP * PAIRS / 4u;
const_assert ADVANCE > 0u;
const LAST = ADVANCE - 1u;

// Pixels of the same row and column modulo STRIDE.
struct Parity {
  // Row and column modulo STRIDE.
  h: u32,
  w: u32,
  // Its size in pixels: of one image, and of the batch.
  width: u32,
  area: u32,
  pixels: u32,
}

// An input pixel, its row and column counted in steps of STRIDE, and the row and column of dy that the first tap of its
// class reaches it from.
struct Pixel { n: u32, i: u32, j: u32, up: u32, left: u32 }

// A pixel of a class.
fn pixelAt(number: u32, parity: Parity) -> Pixel {
  let place = placeIn(shape.N, parity.area, min(number, parity.pixels - 1u));
  let i = place.position / parity.width;
  let j = place.position - i * parity.width;
  return Pixel(place.image, i, j, i + (parity.h + shape.PAD) / shape.STRIDE, j + (parity.w + shape.PAD) / shape.STRIDE);
}

// An index below zero wraps to a huge number, so one comparison is enough.
fn isInside(pixel: Pixel, up: u32, left: u32) -> bool {
  return pixel.up - up < shape.P && pixel.left - left < shape.Q;
}

fn sourceOf(pixel: Pixel, up: u32, left: u32, pairs: u32) -> u32 {
  return ((pixel.n * shape.P + pixel.up - up) * shape.Q + pixel.left - left) * pairs;
}

// A select, not a product with zero: the value at index 0 may be Inf.
fn loadOperand(at: u32, inside: bool) -> vec4f {
  return loadPairs(select(Pair(), dy[at], inside), select(Pair(), dy[at + LAST], inside));
}

// Pixels of the class outside the image have no place.
fn placeOf(pixel: Pixel, parity: Parity) -> u32 {
  let h = pixel.i * shape.STRIDE + parity.h;
  let w = pixel.j * shape.STRIDE + parity.w;
  return select(NOWHERE, (pixel.n * shape.H + h) * shape.W + w, h < shape.H && w < shape.W);
}

@diagnostic(off, subgroup_uniformity)
fn compute(id: vec3u, lane: u32) {
  let C4 = (shape.C + 3u) / 4u;
  let vectors = C4 * 4u / COLUMNS;
  let pairs = (shape.O + 3u) / 4u * PAIRS;
  let height = (shape.H + shape.STRIDE - 1u) / shape.STRIDE;
  let width = (shape.W + shape.STRIDE - 1u) / shape.STRIDE;
  let pixels = shape.N * height * width;
  let tiles = (pixels + TILE - 1u) / TILE;
  let columns = (vectors + SUBGROUP - 1u) / SUBGROUP;
  let index = workgroupIndex(id);
  let number = index / (tiles * columns);
  if (number >= shape.STRIDE * shape.STRIDE) { return; }
  let column = index / tiles % columns * SUBGROUP + lane;
  let first = index % tiles * TILE;

  let parity = Parity(number / shape.STRIDE, number % shape.STRIDE, width, height * width, pixels);
  let pixelA = pixelAt(first + lane % LANES, parity);
  let pixelB = pixelAt(first + LANES + lane % LANES, parity);
  var pixelC = Pixel();
  var pixelD = Pixel();
  if (NARROW) {
    pixelC = pixelAt(first + 2u * LANES + lane % LANES, parity);
    pixelD = pixelAt(first + 3u * LANES + lane % LANES, parity);
  }

  var tile = Tile();

  let row = shape.R * shape.S * C4;
  // The class is reached by the taps r0, r0 + STRIDE, … from the rows up, up - 1, … of dy; columns likewise.
  let r0 = (parity.h + shape.PAD) % shape.STRIDE;
  let s0 = (parity.w + shape.PAD) % shape.STRIDE;
  for (var r = r0; r < shape.R; r += shape.STRIDE) {
    for (var s = s0; s < shape.S; s += shape.STRIDE) {
      let up = r / shape.STRIDE;
      let left = s / shape.STRIDE;
      let insideA = isInside(pixelA, up, left);
      let insideB = isInside(pixelB, up, left);
      let insideC = NARROW && isInside(pixelC, up, left);
      let insideD = NARROW && isInside(pixelD, up, left);
      if (!subgroupAny(insideA || insideB || insideC || insideD)) { continue; }
      let atA = select(0u, sourceOf(pixelA, up, left, pairs), insideA);
      let atB = select(0u, sourceOf(pixelB, up, left, pairs), insideB);
      let atC = select(0u, sourceOf(pixelC, up, left, pairs), insideC);
      let atD = select(0u, sourceOf(pixelD, up, left, pairs), insideD);
      let tap = (r * shape.S + s) * C4 + min(column, vectors - 1u) * COLUMNS / 4u;
      var k = 0u;
      loop {
        let a = loadOperand(atA + k, insideA);
        let b = loadOperand(atB + k, insideB);
        // Beyond O, dy is zero, so the last row is loaded instead.
        let at = min(vec4u(k / ADVANCE * STEP) + vec4u(0u, 1u, 2u, 3u), vec4u(shape.O - 1u)) * row + tap;
        let w = mat4x4f(weightsAt(at.x, column), weightsAt(at.y, column), weightsAt(at.z, column), weightsAt(at.w, column));
        if (NARROW) {
          addStep(&tile, Rows(a, b, loadOperand(atC + k, insideC), loadOperand(atD + k, insideD)), w);
        } else {
          addStep(&tile, Rows(a, b, a, b), w);
        }
        continuing {
          k += ADVANCE;
          break if k >= pairs;
        }
      }
    }
  }

  // Lane i % LANES holds the place of pixel i of the tile in dx.
  let placeA = placeOf(pixelA, parity);
  let placeB = placeOf(pixelB, parity);
  let placeC = placeOf(pixelC, parity);
  let placeD = placeOf(pixelD, parity);
  let sums = sumsOf(tile);
  // The bound passes through a broadcast so that no compiler unrolls the loop: sixteen stores treble the time of compilation.
  let count = subgroupBroadcastFirst(min(TILE, pixels - first));
  for (var i = 0u; i < count; i++) {
    let place = ofRow(i, placeA, placeB, placeC, placeD);
    let sum = sums[numberOf(i)];
    if (column < vectors && place != NOWHERE) { storeResult(place, column, sum, i >= 2u * LANES); }
  }
}
