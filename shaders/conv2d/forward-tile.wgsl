// Convolution, forward:
//   y[n,p,q,o] = Σ over r, s, c of  x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, c] · weight[o,r,s,c]
// x [N,H,W,C], weight [O,R,S,C], y [N,P,Q,O], f32 sums. Taps outside the image count as zero.
//
// A matrix product, pixels by out-channels, whose K axis is (r, s, c): a workgroup computes TILE_M pixels by TILE_N
// channels in steps of TILE_K, a thread THREAD_M by THREAD_N of them in registers. Both operands are contiguous along
// K and lie in workgroup memory that way. For any GPU; no subgroups.
//
// Grid: a count, ceil(N·P·Q / TILE_M) · ceil(O / TILE_N).
// Checked on Mesa 25.0.7 lavapipe; not yet timed on a GPU.
//
// @const TILE_M:u32 TILE_N:u32 TILE_K:u32 THREAD_M:u32 THREAD_N:u32
// @shape N H W C P Q O R S STRIDE PAD
// @sample TILE_M=64 TILE_N=64 TILE_K=16 THREAD_M=8 THREAD_N=8
// @sample N=3 H=5 W=6 C=10 P=3 Q=3 O=12 R=3 S=3 STRIDE=2 PAD=1

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

const THREADS_M = TILE_M / THREAD_M;
const THREADS_N = TILE_N / THREAD_N;
const THREADS = THREADS_M * THREADS_N;
const STEP = TILE_K / 4u; // groups of four along K in a step
const PITCH = STEP + 1u; // of a row in workgroup memory: odd, so that eight rows lie in eight different banks
const LOADERS = THREADS / STEP; // threads that load the same group of different rows
const LOADS_X = TILE_M / LOADERS;
const LOADS_WEIGHT = TILE_N / LOADERS;
const OUTSIDE = 0x40000000u; // a row or column far beyond any image

const_assert TILE_M % THREAD_M == 0u && TILE_N % THREAD_N == 0u && THREAD_N % 4u == 0u;
const_assert STEP * 4u == TILE_K && STEP % 2u == 0u && LOADERS * STEP == THREADS;
const_assert TILE_M % LOADERS == 0u && TILE_N % LOADERS == 0u;

var<workgroup> xTile: array<vec4f, TILE_M * PITCH>;
// Channel 4·i + j of the tile lies in row j·TILE_N/4 + i: neighbouring threads read neighbouring rows.
var<workgroup> weightTile: array<vec4f, TILE_N * PITCH>;

fn addProduct(sum: vec4f, a: vec4f, w: mat4x4f) -> vec4f {
  return fma(vec4f(a.w), w[3], fma(vec4f(a.z), w[2], fma(vec4f(a.y), w[1], fma(vec4f(a.x), w[0], sum))));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
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
  // What it computes.
  let threadM = thread / THREADS_N;
  let threadN = thread % THREADS_N;
  var sums: array<array<vec4f, THREAD_N / 4u>, THREAD_M>;

  for (var k = 0u; k < groups; k += STEP) {
    let tap = (k + group) / C4;
    let r = tap / shape.S;
    let s = tap % shape.S;
    let step = (r * shape.W + s) * C4 + (k + group) % C4;
    for (var i = 0u; i < LOADS_X; i++) {
      // Above or left of the image wraps to a huge number.
      let inside = k + group < groups && top[i] + r < shape.H && left[i] + s < shape.W;
      var value = vec4f();
      if (inside) { value = load4(x[corner[i] + step]); }
      xTile[(loader + i * LOADERS) * PITCH + group] = value;
    }
    for (var i = 0u; i < LOADS_WEIGHT; i++) {
      let channel = loader + i * LOADERS;
      let inside = k + group < groups && firstChannel + channel < shape.O;
      var value = vec4f();
      if (inside) { value = load4(weight[(firstChannel + channel) * groups + k + group]); }
      weightTile[(channel % 4u * (TILE_N / 4u) + channel / 4u) * PITCH + group] = value;
    }
    workgroupBarrier();
    for (var g = 0u; g < STEP; g++) {
      var w: array<mat4x4f, THREAD_N / 4u>;
      for (var j = 0u; j < THREAD_N / 4u; j++) {
        let row = threadN + j * THREADS_N;
        w[j] = transpose(mat4x4f(
          weightTile[row * PITCH + g], weightTile[(TILE_N / 4u + row) * PITCH + g],
          weightTile[(TILE_N / 2u + row) * PITCH + g], weightTile[(TILE_N / 4u * 3u + row) * PITCH + g]));
      }
      for (var i = 0u; i < THREAD_M; i++) {
        let a = xTile[(threadM + i * THREADS_M) * PITCH + g];
        for (var j = 0u; j < THREAD_N / 4u; j++) {
          sums[i][j] = addProduct(sums[i][j], a, w[j]);
        }
      }
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < THREAD_M; i++) {
    let pixel = firstPixel + threadM + i * THREADS_M;
    for (var j = 0u; j < THREAD_N / 4u; j++) {
      let column = firstChannel / 4u + threadN + j * THREADS_N;
      if (pixel < pixels && column < O4) {
        let channels = vec4u(column * 4u) + vec4u(0u, 1u, 2u, 3u);
        y[pixel * O4 + column] = store4(select(vec4f(), sums[i][j], channels < vec4u(shape.O)));
      }
    }
  }
}
