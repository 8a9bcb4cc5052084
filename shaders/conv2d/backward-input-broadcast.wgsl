// Convolution, gradient of the input:
//   dx[n,h,w,c] = Σ over r, s, o of  dy[n,p,q,o] · weight[o,r,s,c]  with  p·STRIDE - PAD + r = h,  q·STRIDE - PAD + s = w
// dy [N,P,Q,O], weight [O,R,S,C], dx [N,H,W,C], f32 sums. A pixel that no tap reaches gets zero.
//
// The twin of forward-broadcast: one workgroup is one subgroup, a tile of 2·LANES pixels by 4·SUBGROUP in-channels,
// no workgroup memory. With a stride, the taps that reach a pixel depend on its row and column modulo STRIDE. Pixels
// are therefore taken class by class, STRIDE² of them, and a class walks over its own taps only (of a 3×3 kernel with
// stride 2: one, two, two and four taps), so nothing is multiplied by inserted zeros.
//
// Grid: a count, STRIDE² · ceil(N·ceil(H/STRIDE)·ceil(W/STRIDE) / (2·LANES)) · ceil(ceil(C/4) / SUBGROUP), with
// LANES = min(SUBGROUP, 16).
// Measured, Mesa 25.0.7 lavapipe, 2 cores of an AMD EPYC (Zen 5), f16 storage, sizes in a uniform, GFLOP/s per core:
// [2,28,28,128]→128 3×3 74 with 16 lanes, 44 with 8; at batch 16 and 8×8 72, 4×4 73, 2×2 91, with stride 2 16×16→8×8 48,
// and with 32 in-channels, which leave half the lanes idle, 31 to 35 (38 to 42); 0.3 s to compile (0.15 s).
//
// @use lib/broadcast-tile
// @const STEP:u32
// @shape N H W C P Q O R S STRIDE PAD
// @sample STEP=4 N=3 H=5 W=6 C=10 P=3 Q=3 O=12 R=3 S=3 STRIDE=2 PAD=1

@group(0) @binding(0) var<storage, read> dy: array<Pair>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

const NOWHERE = 0xffffffffu;
// Pairs of words in a step.
const ADVANCE = STEP * PAIRS / 4u;
const_assert ADVANCE > 0u;

struct Pixel { n: u32, i: u32, j: u32 }

// Pixel `number` of a class, counted in steps of STRIDE. Small images lie side by side, see forward-broadcast.
fn pixelAt(number: u32, height: u32, width: u32) -> Pixel {
  let area = height * width;
  if (area <= 256u && shape.R * shape.S > 1u) {
    let position = number / shape.N;
    return Pixel(number % shape.N, position / width, position % width);
  }
  let position = number % area;
  return Pixel(number / area, position / width, position % width);
}

@compute @workgroup_size(SUBGROUP) @diagnostic(off, subgroup_uniformity)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let C4 = (shape.C + 3u) / 4u;
  let pairs = (shape.O + 3u) / 4u * PAIRS;
  let height = (shape.H + shape.STRIDE - 1u) / shape.STRIDE;
  let width = (shape.W + shape.STRIDE - 1u) / shape.STRIDE;
  let pixels = shape.N * height * width;
  let tiles = (pixels + TILE - 1u) / TILE;
  let columns = (C4 + SUBGROUP - 1u) / SUBGROUP;
  let index = workgroupIndex(id);
  let parity = index / (tiles * columns);
  if (parity >= shape.STRIDE * shape.STRIDE) { return; }
  let column = index / tiles % columns * SUBGROUP + lane;
  let first = index % tiles * TILE;

  // Row h of the class is reached by the taps r0, r0 + STRIDE, … from the rows up, up - 1, … of dy; columns likewise.
  let offsetH = parity / shape.STRIDE;
  let offsetW = parity % shape.STRIDE;
  let r0 = (offsetH + shape.PAD) % shape.STRIDE;
  let s0 = (offsetW + shape.PAD) % shape.STRIDE;
  let pixelA = pixelAt(min(first + lane % LANES, pixels - 1u), height, width);
  let pixelB = pixelAt(min(first + LANES + lane % LANES, pixels - 1u), height, width);
  let upA = pixelA.i + (offsetH + shape.PAD) / shape.STRIDE;
  let upB = pixelB.i + (offsetH + shape.PAD) / shape.STRIDE;
  let leftA = pixelA.j + (offsetW + shape.PAD) / shape.STRIDE;
  let leftB = pixelB.j + (offsetW + shape.PAD) / shape.STRIDE;

  var tile = Tile();

  let row = shape.R * shape.S * C4;
  for (var r = r0; r < shape.R; r += shape.STRIDE) {
    for (var s = s0; s < shape.S; s += shape.STRIDE) {
      let rowA = upA - r / shape.STRIDE;
      let rowB = upB - r / shape.STRIDE;
      let columnA = leftA - s / shape.STRIDE;
      let columnB = leftB - s / shape.STRIDE;
      // Below zero wraps to a huge number, so one comparison tells.
      let insideA = rowA < shape.P && columnA < shape.Q;
      let insideB = rowB < shape.P && columnB < shape.Q;
      if (!subgroupAny(insideA || insideB)) { continue; }
      let atA = select(0u, ((pixelA.n * shape.P + rowA) * shape.Q + columnA) * pairs, insideA);
      let atB = select(0u, ((pixelB.n * shape.P + rowB) * shape.Q + columnB) * pairs, insideB);
      let tap = (r * shape.S + s) * C4 + min(column, C4 - 1u);
      var k = 0u;
      loop {
        // The select, not a product with zero: what lies at index 0 may be an infinity.
        let a = loadPairs(select(Pair(), dy[atA + k], insideA), select(Pair(), dy[atA + k + 1u], insideA));
        let b = loadPairs(select(Pair(), dy[atB + k], insideB), select(Pair(), dy[atB + k + 1u], insideB));
        // Beyond O, dy is zero and the last row serves.
        let at = min(vec4u(k / ADVANCE * STEP) + vec4u(0u, 1u, 2u, 3u), vec4u(shape.O - 1u)) * row + tap;
        let w = mat4x4f(load4(weight[at.x]), load4(weight[at.y]), load4(weight[at.z]), load4(weight[at.w]));
        addStep(&tile, a, b, w);
        continuing {
          k += ADVANCE;
          break if k >= pairs;
        }
      }
    }
  }

  // Where pixel i of the tile lies in dx is known to lane i % LANES; past the image's border in this class: nowhere.
  let hA = pixelA.i * shape.STRIDE + offsetH;
  let hB = pixelB.i * shape.STRIDE + offsetH;
  let wA = pixelA.j * shape.STRIDE + offsetW;
  let wB = pixelB.j * shape.STRIDE + offsetW;
  let placeA = select(NOWHERE, ((pixelA.n * shape.H + hA) * shape.W + wA) * C4, hA < shape.H && wA < shape.W);
  let placeB = select(NOWHERE, ((pixelB.n * shape.H + hB) * shape.W + wB) * C4, hB < shape.H && wB < shape.W);
  let sums = sumsOf(tile);
  let channels = vec4u(column * 4u) + vec4u(0u, 1u, 2u, 3u);
  // The bound goes through a broadcast so that no compiler unrolls the loop: sixteen stores treble the time it takes.
  let count = subgroupBroadcastFirst(min(TILE, pixels - first));
  for (var i = 0u; i < count; i++) {
    let place = subgroupShuffle(select(placeA, placeB, i >= LANES), i % LANES);
    let sum = sums[i / LANES * 16u + i % LANES];
    if (column < C4 && place != NOWHERE) {
      // The padding channels are written as zero, whatever an infinity in dy made of them.
      dx[place + column] = store4(select(vec4f(), sum, channels < vec4u(shape.C)));
    }
  }
}
