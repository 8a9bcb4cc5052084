// Convolution, gradient of the weight:
//   dw[o,r,s,c] = Σ over n, p, q of  dy[n,p,q,o] · x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, c]
// x [N,H,W,C], dy [N,P,Q,O], dw [SLICES,O,R,S,C] in f32. The pixels are split into SLICES parts, each with a dw of its
// own, which reduce-slices adds up; with one slice, dw is the result.
//
// A matrix product, out-channels by columns, whose K axis is the pixels, brought to workgroup memory as in
// backward-weight-tile, where a column is explained, and multiplied by matrix units. Storage type f16.
//
// An infinity in dy makes its whole row o of dw infinite or NaN, also where its tap misses the image.
//
// Grid: [ceil(4·R·S·C4 / TILE_N), ceil(O / TILE_M), SLICES].
// Checked with lib/matrix-emulated; has not run on matrix units yet.
//
// @use lib/matrix
// @const LANES:u32 TILE_M:u32 TILE_N:u32 TILE_K:u32 SUBGROUPS_M:u32 SUBGROUPS_N:u32 MATRIX_M:u32 MATRIX_N:u32 MATRIX_K:u32
// @shape N H W C P Q O R S STRIDE PAD SLICES
// @sample LANES=32 TILE_M=32 TILE_N=32 TILE_K=16 SUBGROUPS_M=2 SUBGROUPS_N=1 MATRIX_M=16 MATRIX_N=16 MATRIX_K=16
// @sample N=3 H=5 W=6 C=10 P=3 Q=3 O=12 R=3 S=3 STRIDE=2 PAD=1 SLICES=2

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

// Of rows in workgroup memory: of whole 16 bytes, and eight rows lie in different banks.
const PITCH_DY = TILE_M / 4u + 2u;
const PITCH_X = TILE_N / 4u + 2u;
const LOADS_DY = TILE_K * TILE_M / 4u / THREADS;
const LOADS_X = TILE_K * TILE_N / 4u / THREADS;

const_assert TILE_M % 8u == 0u && TILE_N % 8u == 0u;
const_assert LOADS_DY * THREADS * 4u == TILE_K * TILE_M && LOADS_X * THREADS * 4u == TILE_K * TILE_N;
// A thread loads x in one column only, whose tap it works out once.
const_assert THREADS % (TILE_N / 4u) == 0u;

// Both contiguous across K.
var<workgroup> leftTile: array<T4, TILE_K * PITCH_DY>;
var<workgroup> rightTile: array<T4, TILE_K * PITCH_X>;

fn leftAt(m: u32, k: u32) -> Left { return leftColumns(k * PITCH_DY + m / 4u, PITCH_DY); }
fn rightAt(k: u32, n: u32) -> Right { return rightRows(k * PITCH_X + n / 4u, PITCH_X); }

fn compute(id: vec3u, thread: u32, subgroup: u32, lane: u32) {
  let C4 = (shape.C + 3u) / 4u;
  let O4 = (shape.O + 3u) / 4u;
  let columns = shape.R * shape.S * C4;
  let pixels = shape.N * shape.P * shape.Q;
  let steps = (pixels + TILE_K - 1u) / TILE_K;
  let perSlice = (steps + shape.SLICES - 1u) / shape.SLICES * TILE_K;
  let end = min(pixels, (id.z + 1u) * perSlice);

  let firstColumn = id.x * (TILE_N / 4u);
  let firstGroup = id.y * (TILE_M / 4u);
  let loadColumn = firstColumn + thread % (TILE_N / 4u);
  let tap = loadColumn / C4;
  let r = tap / shape.S;
  let s = tap % shape.S;
  let c4 = loadColumn % C4;

  var sums: Sums;
  for (var k = id.z * perSlice; k < end; k += TILE_K) {
    for (var i = 0u; i < LOADS_DY; i++) {
      let slot = thread + i * THREADS;
      let row = slot / (TILE_M / 4u);
      let group = slot % (TILE_M / 4u);
      var value = T4();
      if (k + row < end && firstGroup + group < O4) { value = dy[(k + row) * O4 + firstGroup + group]; }
      leftTile[row * PITCH_DY + group] = value;
    }
    for (var i = 0u; i < LOADS_X; i++) {
      let slot = thread + i * THREADS;
      let row = slot / (TILE_N / 4u);
      let pixel = k + row;
      let n = pixel / (shape.P * shape.Q);
      let h = pixel / shape.Q % shape.P * shape.STRIDE - shape.PAD + r;
      let w = pixel % shape.Q * shape.STRIDE - shape.PAD + s;
      var value = T4();
      // Above or left of the image wraps to a huge number.
      if (pixel < end && loadColumn < columns && h < shape.H && w < shape.W) {
        value = x[((n * shape.H + h) * shape.W + w) * C4 + c4];
      }
      rightTile[row * PITCH_X + slot % (TILE_N / 4u)] = value;
    }
    workgroupBarrier();
    addTiles(&sums, subgroup);
    workgroupBarrier();
  }

  for (var i = 0u; i < DOWN; i++) {
    bringOut(&sums, i, subgroup);
    for (var e = lane; e < MATRIX_M * WIDTH; e += LANES) {
      let o = firstGroup * 4u + partM(subgroup) + i * MATRIX_M + e / WIDTH;
      let column = firstColumn + partN(subgroup) / 4u + e % WIDTH;
      if (o < shape.O && column < columns) {
        // The padding channels are written as zero, whatever an infinity in dy made of them.
        let channels = vec4u(column % C4 * 4u) + vec4u(0u, 1u, 2u, 3u);
        let sum = results[subgroup * (MATRIX_M * WIDTH) + e];
        dw[(id.z * shape.O + o) * columns + column] = select(vec4f(), sum, channels < vec4u(shape.C));
      }
    }
  }
}
