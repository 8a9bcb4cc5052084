// Convolution, gradient of the input:
//   dx[n,h,w,c] = Σ over r, s, o of  dy[n,p,q,o] · weight[o,r,s,c]  with  p·STRIDE - PAD + r = h,  q·STRIDE - PAD + s = w
// dy [N,P,Q,O], weight [O,R,S,C], dx [N,H,W,C], f32 sums. A pixel that no tap reaches gets zero.
//
// A matrix product, pixels by in-channels, whose K axis is (r, s, o), brought to workgroup memory as in
// backward-input-tile, class by class of the pixels, and multiplied by matrix units. Storage type f16.
//
// Grid: a count, STRIDE² · ceil(N·ceil(H/STRIDE)·ceil(W/STRIDE) / TILE_M) · ceil(C / TILE_N).
// Checked with lib/matrix-emulated; has not run on matrix units yet.
//
// @use lib/matrix
// @const LANES:u32 TILE_M:u32 TILE_N:u32 TILE_K:u32 SUBGROUPS_M:u32 SUBGROUPS_N:u32 MATRIX_M:u32 MATRIX_N:u32 MATRIX_K:u32
// @shape N H W C P Q O R S STRIDE PAD
// @sample LANES=32 TILE_M=32 TILE_N=32 TILE_K=16 SUBGROUPS_M=2 SUBGROUPS_N=1 MATRIX_M=16 MATRIX_N=16 MATRIX_K=16
// @sample N=3 H=5 W=6 C=10 P=3 Q=3 O=12 R=3 S=3 STRIDE=2 PAD=1

@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

const STEP = TILE_K / 4u; // groups of four along K in a step
// Of rows in workgroup memory: of whole 16 bytes, and eight rows lie in different banks.
const PITCH_DY = STEP + 2u;
const PITCH_WEIGHT = TILE_N / 4u + 2u;
const LOADERS = THREADS / STEP; // threads that load the same group of different rows
const LOADS_DY = TILE_M / LOADERS;
const LOADS_WEIGHT = TILE_K * TILE_N / 4u / THREADS;
const OUTSIDE = 0x40000000u; // a row or column far beyond any image

const_assert STEP * 4u == TILE_K && STEP % 2u == 0u && LOADERS * STEP == THREADS && TILE_N % 8u == 0u;
const_assert TILE_M % LOADERS == 0u && LOADS_WEIGHT * THREADS * 4u == TILE_K * TILE_N;

// Pixels, contiguous along K; weight, contiguous along the in-channels.
var<workgroup> leftTile: array<T4, TILE_M * PITCH_DY>;
var<workgroup> rightTile: array<T4, TILE_K * PITCH_WEIGHT>;

fn leftAt(m: u32, k: u32) -> Left { return leftRows(m * PITCH_DY + k / 4u, PITCH_DY); }
fn rightAt(k: u32, n: u32) -> Right { return rightRows(k * PITCH_WEIGHT + n / 4u, PITCH_WEIGHT); }

fn compute(id: vec3u, thread: u32, subgroup: u32, lane: u32) {
  let C4 = (shape.C + 3u) / 4u;
  let O4 = (shape.O + 3u) / 4u;
  let height = (shape.H + shape.STRIDE - 1u) / shape.STRIDE;
  let width = (shape.W + shape.STRIDE - 1u) / shape.STRIDE;
  let pixels = shape.N * height * width;
  let tiles = (pixels + TILE_M - 1u) / TILE_M;
  let columns = (shape.C + TILE_N - 1u) / TILE_N;
  let index = workgroupIndex(id);
  let parity = index / (tiles * columns);
  if (parity >= shape.STRIDE * shape.STRIDE) { return; }
  let firstPixel = index / columns % tiles * TILE_M;
  let firstColumn = index % columns * (TILE_N / 4u);

  // The taps of this class: r0, r0 + STRIDE, … of the rows, s0, s0 + STRIDE, … of the columns.
  let offsetH = parity / shape.STRIDE;
  let offsetW = parity % shape.STRIDE;
  let r0 = (offsetH + shape.PAD) % shape.STRIDE;
  let s0 = (offsetW + shape.PAD) % shape.STRIDE;
  let tapsR = (max(shape.R, r0) - r0 + shape.STRIDE - 1u) / shape.STRIDE;
  let tapsS = (max(shape.S, s0) - s0 + shape.STRIDE - 1u) / shape.STRIDE;
  let groups = tapsR * tapsS * O4;

  // What this thread loads: one group of every step of these pixels of dy, of which the tap i lies i rows higher.
  let group = thread % STEP;
  let loader = thread / STEP;
  var bottom: array<u32, LOADS_DY>;
  var right: array<u32, LOADS_DY>;
  var corner: array<u32, LOADS_DY>;
  for (var i = 0u; i < LOADS_DY; i++) {
    let pixel = firstPixel + loader + i * LOADERS;
    let n = pixel / (height * width);
    bottom[i] = pixel / width % height + (offsetH + shape.PAD) / shape.STRIDE;
    right[i] = pixel % width + (offsetW + shape.PAD) / shape.STRIDE;
    corner[i] = ((n * shape.P + bottom[i]) * shape.Q + right[i]) * O4;
    if (pixel >= pixels) { bottom[i] = OUTSIDE; }
  }

  var sums: Sums;
  for (var k = 0u; k < groups; k += STEP) {
    let tap = (k + group) / O4;
    let i0 = tap / max(tapsS, 1u);
    let j0 = tap % max(tapsS, 1u);
    let step = (k + group) % O4 - (i0 * shape.Q + j0) * O4;
    for (var i = 0u; i < LOADS_DY; i++) {
      // Below zero wraps to a huge number.
      let inside = k + group < groups && bottom[i] - i0 < shape.P && right[i] - j0 < shape.Q;
      var value = T4();
      if (inside) { value = dy[corner[i] + step]; }
      leftTile[(loader + i * LOADERS) * PITCH_DY + group] = value;
    }
    for (var i = 0u; i < LOADS_WEIGHT; i++) {
      let slot = thread + i * THREADS;
      let row = slot / (TILE_N / 4u);
      let column = firstColumn + slot % (TILE_N / 4u);
      let rowTap = (k + row / 4u) / O4;
      let r = r0 + rowTap / max(tapsS, 1u) * shape.STRIDE;
      let s = s0 + rowTap % max(tapsS, 1u) * shape.STRIDE;
      let o = (k + row / 4u) % O4 * 4u + row % 4u;
      let inside = k + row / 4u < groups && o < shape.O && column < C4;
      var value = T4();
      if (inside) { value = weight[((o * shape.R + r) * shape.S + s) * C4 + column]; }
      rightTile[row * PITCH_WEIGHT + slot % (TILE_N / 4u)] = value;
    }
    workgroupBarrier();
    addTiles(&sums, subgroup);
    workgroupBarrier();
  }

  for (var i = 0u; i < DOWN; i++) {
    bringOut(&sums, i, subgroup);
    for (var e = lane; e < MATRIX_M * WIDTH; e += LANES) {
      let pixel = firstPixel + partM(subgroup) + i * MATRIX_M + e / WIDTH;
      let column = firstColumn + partN(subgroup) / 4u + e % WIDTH;
      let n = pixel / (height * width);
      let h = pixel / width % height * shape.STRIDE + offsetH;
      let w = pixel % width * shape.STRIDE + offsetW;
      if (pixel < pixels && h < shape.H && w < shape.W && column < C4) {
        // The padding channels are written as zero, whatever an infinity in dy made of them.
        let channels = vec4u(column * 4u) + vec4u(0u, 1u, 2u, 3u);
        let sum = results[subgroup * (MATRIX_M * WIDTH) + e];
        dx[((n * shape.H + h) * shape.W + w) * C4 + column] = store4(select(vec4f(), sum, channels < vec4u(shape.C)));
      }
    }
  }
}
