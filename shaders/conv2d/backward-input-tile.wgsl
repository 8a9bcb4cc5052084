// Convolution, gradient of the input:
//   dx[n,h,w,c] = Σ over r, s, o of  dy[n,p,q,o] · weight[o,r,s,c]  with  p·STRIDE - PAD + r = h,  q·STRIDE - PAD + s = w
// dy [N,P,Q,O], weight [O,R,S,C], dx [N,H,W,C], f32 sums. A pixel that no tap reaches gets zero.
//
// A matrix product, pixels by in-channels, whose K axis is (r, s, o), tiled as in forward-tile. Pixels are taken class
// by class of their row and column modulo STRIDE, and a class has its own taps only, see backward-input-broadcast.
// dy is contiguous along K, weight along the in-channels, and each lies in workgroup memory as it comes.
//
// Grid: a count, STRIDE² · ceil(N·ceil(H/STRIDE)·ceil(W/STRIDE) / TILE_M) · ceil(C / TILE_N).
// Checked on Mesa 25.0.7 lavapipe; not yet timed on a GPU.
//
// @const TILE_M:u32 TILE_N:u32 TILE_K:u32 THREAD_M:u32 THREAD_N:u32
// @shape N H W C P Q O R S STRIDE PAD
// @sample TILE_M=64 TILE_N=64 TILE_K=16 THREAD_M=8 THREAD_N=8
// @sample N=3 H=5 W=6 C=10 P=3 Q=3 O=12 R=3 S=3 STRIDE=2 PAD=1

@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

const THREADS_M = TILE_M / THREAD_M;
const THREADS_N = TILE_N / THREAD_N;
const THREADS = THREADS_M * THREADS_N;
const STEP = TILE_K / 4u; // groups of four along K in a step
const PITCH = STEP + 1u; // of a row of dy in workgroup memory: odd, so that eight rows lie in eight different banks
const LOADERS = THREADS / STEP; // threads that load the same group of different rows
const LOADS_DY = TILE_M / LOADERS;
const LOADS_WEIGHT = TILE_K * TILE_N / 4u / THREADS;
const OUTSIDE = 0x40000000u; // a row or column far beyond any image

const_assert TILE_M % THREAD_M == 0u && TILE_N % THREAD_N == 0u && THREAD_N % 4u == 0u;
const_assert STEP * 4u == TILE_K && STEP % 2u == 0u && LOADERS * STEP == THREADS;
const_assert TILE_M % LOADERS == 0u && LOADS_WEIGHT * THREADS * 4u == TILE_K * TILE_N;

var<workgroup> dyTile: array<vec4f, TILE_M * PITCH>;
var<workgroup> weightTile: array<vec4f, TILE_K * TILE_N / 4u>;

fn addProduct(sum: vec4f, a: vec4f, w: mat4x4f) -> vec4f {
  return fma(vec4f(a.w), w[3], fma(vec4f(a.z), w[2], fma(vec4f(a.y), w[1], fma(vec4f(a.x), w[0], sum))));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
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
  // What it computes.
  let threadM = thread / THREADS_N;
  let threadN = thread % THREADS_N;
  var sums: array<array<vec4f, THREAD_N / 4u>, THREAD_M>;

  for (var k = 0u; k < groups; k += STEP) {
    let tap = (k + group) / O4;
    let i0 = tap / max(tapsS, 1u);
    let j0 = tap % max(tapsS, 1u);
    let step = (k + group) % O4 - (i0 * shape.Q + j0) * O4;
    for (var i = 0u; i < LOADS_DY; i++) {
      // Below zero wraps to a huge number.
      let inside = k + group < groups && bottom[i] - i0 < shape.P && right[i] - j0 < shape.Q;
      var value = vec4f();
      if (inside) { value = load4(dy[corner[i] + step]); }
      dyTile[(loader + i * LOADERS) * PITCH + group] = value;
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
      var value = vec4f();
      if (inside) { value = load4(weight[((o * shape.R + r) * shape.S + s) * C4 + column]); }
      weightTile[slot] = value;
    }
    workgroupBarrier();
    for (var g = 0u; g < STEP; g++) {
      var w: array<mat4x4f, THREAD_N / 4u>;
      for (var j = 0u; j < THREAD_N / 4u; j++) {
        let at = g * TILE_N + threadN + j * THREADS_N;
        w[j] = mat4x4f(
          weightTile[at], weightTile[at + TILE_N / 4u],
          weightTile[at + TILE_N / 2u], weightTile[at + TILE_N / 4u * 3u]);
      }
      for (var i = 0u; i < THREAD_M; i++) {
        let a = dyTile[(threadM + i * THREADS_M) * PITCH + g];
        for (var j = 0u; j < THREAD_N / 4u; j++) {
          sums[i][j] = addProduct(sums[i][j], a, w[j]);
        }
      }
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < THREAD_M; i++) {
    let pixel = firstPixel + threadM + i * THREADS_M;
    let n = pixel / (height * width);
    let h = pixel / width % height * shape.STRIDE + offsetH;
    let w = pixel % width * shape.STRIDE + offsetW;
    let here = pixel < pixels && h < shape.H && w < shape.W;
    for (var j = 0u; j < THREAD_N / 4u; j++) {
      let column = firstColumn + threadN + j * THREADS_N;
      if (here && column < C4) {
        // The padding channels are written as zero, whatever an infinity in dy made of them.
        let channels = vec4u(column * 4u) + vec4u(0u, 1u, 2u, 3u);
        let value = select(vec4f(), sums[i][j], channels < vec4u(shape.C));
        dx[((n * shape.H + h) * shape.W + w) * C4 + column] = store4(value);
      }
    }
  }
}
