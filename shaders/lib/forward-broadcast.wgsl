// The forward convolution without workgroup memory: one workgroup is one subgroup and computes a tile (lib/broadcast-tile)
// of pixels by out-channels. Per step of STEP in-channels each lane loads those of its pixels and of its own COLUMNS
// out-channels, and the pixels' are shared by broadcasts: on a software adapter a load costs more than the arithmetic
// it feeds.
//
// A kernel binds x and weight and declares COLUMNS per lane, four or two, and storeResult(place, column, sum, further), which
// stores a sum of the vector `column` of channels at pixel `place`, in a narrow kernel its first or its `further` half.
//
// Grid: a count, ceil(N·P·Q / TILE) · ceil(O / (COLUMNS·SUBGROUP)).
//
// @use lib/broadcast-tile lib/pixel-order

// Pairs of words in a step, and the last of them, which is the first again where a step has one.
const ADVANCE = STEP * PAIRS / 4u;
const_assert ADVANCE > 0u;
const LAST = ADVANCE - 1u;

// An output pixel, and the row and column of the input pixel under the kernel's corner.
struct Pixel { n: u32, p: u32, q: u32, top: u32, left: u32 }

fn pixelAt(number: u32) -> Pixel {
  let area = shape.P * shape.Q;
  let place = placeIn(shape.N, area, min(number, shape.N * area - 1u));
  let p = place.position / shape.Q;
  let q = place.position - p * shape.Q;
  return Pixel(place.image, p, q, p * shape.STRIDE - shape.PAD, q * shape.STRIDE - shape.PAD);
}

// A position left of or above the image wraps to a huge number, so one comparison is enough.
fn isInside(pixel: Pixel, r: u32, s: u32) -> bool {
  return pixel.top + r < shape.H && pixel.left + s < shape.W;
}

fn sourceOf(pixel: Pixel, r: u32, s: u32, pairs: u32) -> u32 {
  return ((pixel.n * shape.H + pixel.top + r) * shape.W + pixel.left + s) * pairs;
}

// A select, not a product with zero: the value at index 0 may be Inf.
fn loadOperand(at: u32, inside: bool) -> vec4f {
  return loadPairs(select(Pair(), x[at], inside), select(Pair(), x[at + LAST], inside));
}

fn placeOf(pixel: Pixel) -> u32 { return (pixel.n * shape.P + pixel.p) * shape.Q + pixel.q; }

@diagnostic(off, subgroup_uniformity)
fn compute(id: vec3u, lane: u32) {
  let pairs = (shape.C + 3u) / 4u * PAIRS;
  let vectors = (shape.O + 3u) / 4u * 4u / COLUMNS;
  let pixels = shape.N * shape.P * shape.Q;
  let tiles = (pixels + TILE - 1u) / TILE;
  let index = workgroupIndex(id);
  let firstColumn = index / tiles * SUBGROUP;
  if (firstColumn >= vectors) { return; }
  let column = firstColumn + lane;
  let first = index % tiles * TILE;

  // This lane's pixels.
  let pixelA = pixelAt(first + lane % LANES);
  let pixelB = pixelAt(first + LANES + lane % LANES);
  var pixelC = Pixel();
  var pixelD = Pixel();
  if (NARROW) {
    pixelC = pixelAt(first + 2u * LANES + lane % LANES);
    pixelD = pixelAt(first + 3u * LANES + lane % LANES);
  }
  // This lane's out-channels, rows of weight; beyond O the last row again, whose sums are not stored.
  let row = shape.R * shape.S * pairs;
  let rows = min(vec4u(column * COLUMNS) + vec4u(0u, 1u, 2u, 3u), vec4u(shape.O - 1u)) * row;

  var tile = Tile();

  for (var r = 0u; r < shape.R; r++) {
    for (var s = 0u; s < shape.S; s++) {
      let insideA = isInside(pixelA, r, s);
      let insideB = isInside(pixelB, r, s);
      let insideC = NARROW && isInside(pixelC, r, s);
      let insideD = NARROW && isInside(pixelD, r, s);
      if (!subgroupAny(insideA || insideB || insideC || insideD)) { continue; }
      let atA = select(0u, sourceOf(pixelA, r, s, pairs), insideA);
      let atB = select(0u, sourceOf(pixelB, r, s, pairs), insideB);
      let atC = select(0u, sourceOf(pixelC, r, s, pairs), insideC);
      let atD = select(0u, sourceOf(pixelD, r, s, pairs), insideD);
      let at = rows + (r * shape.S + s) * pairs;
      var k = 0u;
      // Tested last: with the test first, a software adapter runs one more turn with all lanes masked.
      loop {
        let a = loadOperand(atA + k, insideA);
        let b = loadOperand(atB + k, insideB);
        let w0 = loadPairs(weight[at.x + k], weight[at.x + k + LAST]);
        let w1 = loadPairs(weight[at.y + k], weight[at.y + k + LAST]);
        if (NARROW) {
          let c = loadOperand(atC + k, insideC);
          let d = loadOperand(atD + k, insideD);
          addStep(&tile, Rows(a, b, c, d), transpose(mat4x4f(w0, w1, w0, w1)));
        } else {
          let w2 = loadPairs(weight[at.z + k], weight[at.z + k + LAST]);
          let w3 = loadPairs(weight[at.w + k], weight[at.w + k + LAST]);
          addStep(&tile, Rows(a, b, a, b), transpose(mat4x4f(w0, w1, w2, w3)));
        }
        continuing {
          k += ADVANCE;
          break if k >= pairs;
        }
      }
    }
  }

  // Lane i % LANES holds the place of pixel i of the tile in y.
  let placeA = placeOf(pixelA);
  let placeB = placeOf(pixelB);
  let placeC = placeOf(pixelC);
  let placeD = placeOf(pixelD);
  let sums = sumsOf(tile);
  // The bound passes through a broadcast so that no compiler unrolls the loop: sixteen stores treble the time of compilation.
  let count = subgroupBroadcastFirst(min(TILE, pixels - first));
  for (var i = 0u; i < count; i++) {
    let place = ofRow(i, placeA, placeB, placeC, placeD);
    let sum = sums[numberOf(i)];
    if (column < vectors) { storeResult(place, column, sum, i >= 2u * LANES); }
  }
}
