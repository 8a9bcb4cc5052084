// Convolution, forward:
//   y[n,p,q,o] = Σ over r, s, c of  x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, c] · weight[o,r,s,c]
// x [N,H,W,C], weight [O,R,S,C], y [N,P,Q,O], f32 sums. Taps outside the image count as zero.
//
// No workgroup memory: one workgroup is one subgroup and computes a tile of 2·LANES pixels by 4·SUBGROUP out-channels.
// Per step of STEP in-channels each lane loads those of two pixels and of its own four out-channels, and the pixels'
// are handed round by broadcasts: on a software adapter a load costs more than the arithmetic it feeds.
//
// Grid: a count, ceil(N·P·Q / (2·LANES)) · ceil(ceil(O/4) / SUBGROUP), with LANES = min(SUBGROUP, 16).
// Measured, Mesa 25.0.7 lavapipe, 2 cores of an AMD EPYC (Zen 5), f16 storage, sizes in a uniform, GFLOP/s per core:
// [2,28,28,128]→128 3×3 75 with 16 lanes, 44 with 8; at batch 16 and 8×8 73, 4×4 79, 2×2 93 (skipped taps counted as
// work), and with 32 out-channels, which leave half the lanes idle, 34 (38); 0.3 s to compile (0.15 s).
//
// @use lib/broadcast-tile
// @const STEP:u32
// @shape N H W C P Q O R S STRIDE PAD
// @sample STEP=4 N=3 H=5 W=6 C=10 P=3 Q=3 O=12 R=3 S=3 STRIDE=2 PAD=1

@group(0) @binding(0) var<storage, read> x: array<Pair>;
@group(0) @binding(1) var<storage, read> weight: array<Pair>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

// Pairs of words in a step.
const ADVANCE = STEP * PAIRS / 4u;
const_assert ADVANCE > 0u;

struct Pixel { n: u32, p: u32, q: u32 }

// Small images are numbered position by position, the images of the batch side by side: then a whole tile is at the
// same border, and the taps that miss the image are skipped instead of multiplied by zero (2×2 images: five of nine).
// Larger ones, and 1×1 convolutions, which miss nothing, go row by row: so the caches have less to fetch.
fn pixelAt(number: u32) -> Pixel {
  let area = shape.P * shape.Q;
  if (area <= 256u && shape.R * shape.S > 1u) {
    let position = number / shape.N;
    return Pixel(number % shape.N, position / shape.Q, position % shape.Q);
  }
  let position = number % area;
  return Pixel(number / area, position / shape.Q, position % shape.Q);
}

@compute @workgroup_size(SUBGROUP) @diagnostic(off, subgroup_uniformity)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let pairs = (shape.C + 3u) / 4u * PAIRS;
  let O4 = (shape.O + 3u) / 4u;
  let pixels = shape.N * shape.P * shape.Q;
  let tiles = (pixels + TILE - 1u) / TILE;
  let index = workgroupIndex(id);
  let firstColumn = index / tiles * SUBGROUP;
  if (firstColumn >= O4) { return; }
  let column = firstColumn + lane;
  let first = index % tiles * TILE;

  // This lane's pixels, and the input pixels under the kernel's corner.
  let pixelA = pixelAt(min(first + lane % LANES, pixels - 1u));
  let pixelB = pixelAt(min(first + LANES + lane % LANES, pixels - 1u));
  let topA = pixelA.p * shape.STRIDE - shape.PAD;
  let topB = pixelB.p * shape.STRIDE - shape.PAD;
  let leftA = pixelA.q * shape.STRIDE - shape.PAD;
  let leftB = pixelB.q * shape.STRIDE - shape.PAD;
  // This lane's out-channels, four rows of weight; beyond O the last row again, whose sums are not stored.
  let row = shape.R * shape.S * pairs;
  let rows = min(vec4u(column * 4u) + vec4u(0u, 1u, 2u, 3u), vec4u(shape.O - 1u)) * row;

  var tile = Tile();

  for (var r = 0u; r < shape.R; r++) {
    for (var s = 0u; s < shape.S; s++) {
      // What is left of or above the image wraps to a huge number, so one comparison tells.
      let insideA = topA + r < shape.H && leftA + s < shape.W;
      let insideB = topB + r < shape.H && leftB + s < shape.W;
      if (!subgroupAny(insideA || insideB)) { continue; }
      let atA = select(0u, ((pixelA.n * shape.H + topA + r) * shape.W + leftA + s) * pairs, insideA);
      let atB = select(0u, ((pixelB.n * shape.H + topB + r) * shape.W + leftB + s) * pairs, insideB);
      let at = rows + (r * shape.S + s) * pairs;
      var k = 0u;
      // Tested last: with the test first, a software adapter goes one more round, all lanes masked.
      loop {
        // The select, not a product with zero: what lies at index 0 may be an infinity.
        let a = loadPairs(select(Pair(), x[atA + k], insideA), select(Pair(), x[atA + k + 1u], insideA));
        let b = loadPairs(select(Pair(), x[atB + k], insideB), select(Pair(), x[atB + k + 1u], insideB));
        let w = transpose(mat4x4f(
          loadPairs(weight[at.x + k], weight[at.x + k + 1u]), loadPairs(weight[at.y + k], weight[at.y + k + 1u]),
          loadPairs(weight[at.z + k], weight[at.z + k + 1u]), loadPairs(weight[at.w + k], weight[at.w + k + 1u])));
        addStep(&tile, a, b, w);
        continuing {
          k += ADVANCE;
          break if k >= pairs;
        }
      }
    }
  }

  // Where pixel i of the tile lies in y is known to lane i % LANES.
  let placeA = ((pixelA.n * shape.P + pixelA.p) * shape.Q + pixelA.q) * O4;
  let placeB = ((pixelB.n * shape.P + pixelB.p) * shape.Q + pixelB.q) * O4;
  let sums = sumsOf(tile);
  let channels = vec4u(column * 4u) + vec4u(0u, 1u, 2u, 3u);
  // The bound goes through a broadcast so that no compiler unrolls the loop: sixteen stores treble the time it takes.
  let count = subgroupBroadcastFirst(min(TILE, pixels - first));
  for (var i = 0u; i < count; i++) {
    let place = subgroupShuffle(select(placeA, placeB, i >= LANES), i % LANES);
    let sum = sums[i / LANES * 16u + i % LANES];
    if (column < O4) {
      y[place + column] = store4(select(vec4f(), sum, channels < vec4u(shape.O)));
    }
  }
}
