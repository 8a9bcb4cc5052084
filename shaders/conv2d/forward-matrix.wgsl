// Convolution, forward:
//   y[n,p,q,o] = Σ over r, s, c of  x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, c] · weight[o,r,s,c]
// x [N,H,W,C], weight [O,R,S,C], y [N,P,Q,O], f32 sums. Taps outside the image count as zero.
//
// A matrix product, pixels by out-channels, whose K axis is (r, s, c), brought to workgroup memory as in forward-tile
// and multiplied by matrix units. Storage type f16.
//
// Grid: a count, ceil(N·P·Q / TILE_M) · ceil(O / TILE_N).
// Checked with lib/matrix-emulated; has not run on matrix units yet.
//
// @use lib/matrix
// @const LANES:u32 TILE_M:u32 TILE_N:u32 TILE_K:u32 SUBGROUPS_M:u32 SUBGROUPS_N:u32 MATRIX_M:u32 MATRIX_N:u32 MATRIX_K:u32
// @shape N H W C P Q O R S STRIDE PAD
// @sample LANES=32 TILE_M=32 TILE_N=32 TILE_K=16 SUBGROUPS_M=2 SUBGROUPS_N=1 MATRIX_M=16 MATRIX_N=16 MATRIX_K=16
// @sample N=3 H=5 W=6 C=10 P=3 Q=3 O=12 R=3 S=3 STRIDE=2 PAD=1

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

const STEP = TILE_K / 4u; // groups of four along K in a step
const PITCH = STEP + 2u; // of a row in workgroup memory: of whole 16 bytes, and eight rows lie in different banks
const LOADERS = THREADS / STEP; // threads that load the same group of different rows
const LOADS_X = TILE_M / LOADERS;
const LOADS_WEIGHT = TILE_N / LOADERS;
const OUTSIDE = 0x40000000u; // a row or column far beyond any image

const_assert STEP * 4u == TILE_K && STEP % 2u == 0u && LOADERS * STEP == THREADS;
const_assert TILE_M % LOADERS == 0u && TILE_N % LOADERS == 0u;

// Pixels and out-channels, each contiguous along K.
var<workgroup> leftTile: array<T4, TILE_M * PITCH>;
var<workgroup> rightTile: array<T4, TILE_N * PITCH>;

fn leftAt(m: u32, k: u32) -> Left { return leftRows(m * PITCH + k / 4u, PITCH); }
fn rightAt(k: u32, n: u32) -> Right { return rightColumns(n * PITCH + k / 4u, PITCH); }

fn compute(id: vec3u, thread: u32, subgroup: u32, lane: u32) {
  let C4 = (shape.C + 3u) / 4u;
  let O4 = (shape.O + 3u) / 4u;
  let pixels = shape.N * shape.P * shape.Q;
  let groups = shape.R * shape.S * C4;
  let columns = (shape.O + TILE_N - 1u) / TILE_N;
  let index = workgroupIndex(id);
  let firstPixel = index / columns * TILE_M;
  let firstChannel = index % columns * TILE_N;
  if (firstPixel >= pixels) { return; }

  // What this thread loads: one group of every step, of these pixels and these out-channels.
  let group = thread % STEP;
  let loader = thread / STEP;
  var top: array<u32, LOADS_X>;
  var left: array<u32, LOADS_X>;
  var corner: array<u32, LOADS_X>;
  for (var i = 0u; i < LOADS_X; i++) {
    let pixel = firstPixel + loader + i * LOADERS;
    let n = pixel / (shape.P * shape.Q);
    top[i] = pixel / shape.Q % shape.P * shape.STRIDE - shape.PAD;
    left[i] = pixel % shape.Q * shape.STRIDE - shape.PAD;
    corner[i] = ((n * shape.H + top[i]) * shape.W + left[i]) * C4;
    if (pixel >= pixels) { top[i] = OUTSIDE; }
  }

  var sums: Sums;
  for (var k = 0u; k < groups; k += STEP) {
    let tap = (k + group) / C4;
    let r = tap / shape.S;
    let s = tap % shape.S;
    let step = (r * shape.W + s) * C4 + (k + group) % C4;
    for (var i = 0u; i < LOADS_X; i++) {
      // Above or left of the image wraps to a huge number.
      let inside = k + group < groups && top[i] + r < shape.H && left[i] + s < shape.W;
      var value = T4();
      if (inside) { value = x[corner[i] + step]; }
      leftTile[(loader + i * LOADERS) * PITCH + group] = value;
    }
    for (var i = 0u; i < LOADS_WEIGHT; i++) {
      let channel = loader + i * LOADERS;
      let inside = k + group < groups && firstChannel + channel < shape.O;
      var value = T4();
      if (inside) { value = weight[(firstChannel + channel) * groups + k + group]; }
      rightTile[channel * PITCH + group] = value;
    }
    workgroupBarrier();
    addTiles(&sums, subgroup);
    workgroupBarrier();
  }

  for (var i = 0u; i < DOWN; i++) {
    bringOut(&sums, i, subgroup);
    for (var e = lane; e < MATRIX_M * WIDTH; e += LANES) {
      let pixel = firstPixel + partM(subgroup) + i * MATRIX_M + e / WIDTH;
      let column = (firstChannel + partN(subgroup)) / 4u + e % WIDTH;
      if (pixel < pixels && column < O4) {
        let channels = vec4u(column * 4u) + vec4u(0u, 1u, 2u, 3u);
        let sum = results[subgroup * (MATRIX_M * WIDTH) + e];
        y[pixel * O4 + column] = store4(select(vec4f(), sum, channels < vec4u(shape.O)));
      }
    }
  }
}
