// Convolution, gradient of the weight:
//   dw[o,r,s,c] = Σ over n, p, q of  dy[n,p,q,o] · x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, c]
// x [N,H,W,C], dy [N,P,Q,O], dw [SLICES,O,R,S,C] in f32 whatever the storage type. The pixels are split into SLICES
// parts, each with a dw of its own, which reduce-slices adds up; with one slice, dw is the result.
//
// A matrix product, out-channels by columns, whose K axis is the pixels, tiled as in forward-tile. A column is a tap
// and four in-channels, numbered in one row (tap·C4 + c/4), so that few channels do not leave threads idle. Both
// operands are contiguous across K and lie in workgroup memory that way.
//
// An infinity in dy makes its whole row o of dw infinite or NaN, also where its tap misses the image.
//
// Grid: [ceil(4·R·S·C4 / TILE_N), ceil(O / TILE_M), SLICES].
// Checked on Mesa 25.0.7 lavapipe; not yet timed on a GPU.
//
// @const TILE_M:u32 TILE_N:u32 TILE_K:u32 THREAD_M:u32 THREAD_N:u32
// @shape N H W C P Q O R S STRIDE PAD SLICES
// @sample TILE_M=64 TILE_N=64 TILE_K=16 THREAD_M=8 THREAD_N=8
// @sample N=3 H=5 W=6 C=10 P=3 Q=3 O=12 R=3 S=3 STRIDE=2 PAD=1 SLICES=2

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

const THREADS_M = TILE_M / THREAD_M;
const THREADS_N = TILE_N / THREAD_N;
const THREADS = THREADS_M * THREADS_N;
const LOADS_DY = TILE_K * TILE_M / 4u / THREADS;
const LOADS_X = TILE_K * TILE_N / 4u / THREADS;

const_assert TILE_M % THREAD_M == 0u && TILE_N % THREAD_N == 0u && THREAD_M % 4u == 0u && THREAD_N % 4u == 0u;
const_assert LOADS_DY * THREADS * 4u == TILE_K * TILE_M && LOADS_X * THREADS * 4u == TILE_K * TILE_N;
// A thread loads x in one column only, whose tap it works out once.
const_assert THREADS % (TILE_N / 4u) == 0u;

var<workgroup> dyTile: array<vec4f, TILE_K * TILE_M / 4u>;
var<workgroup> xTile: array<vec4f, TILE_K * TILE_N / 4u>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
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

  let threadM = thread / THREADS_N;
  let threadN = thread % THREADS_N;
  var sums: array<array<vec4f, THREAD_N / 4u>, THREAD_M>;

  for (var k = id.z * perSlice; k < end; k += TILE_K) {
    for (var i = 0u; i < LOADS_DY; i++) {
      let slot = thread + i * THREADS;
      let pixel = k + slot / (TILE_M / 4u);
      let group = firstGroup + slot % (TILE_M / 4u);
      var value = vec4f();
      if (pixel < end && group < O4) { value = load4(dy[pixel * O4 + group]); }
      dyTile[slot] = value;
    }
    for (var i = 0u; i < LOADS_X; i++) {
      let slot = thread + i * THREADS;
      let pixel = k + slot / (TILE_N / 4u);
      let n = pixel / (shape.P * shape.Q);
      let h = pixel / shape.Q % shape.P * shape.STRIDE - shape.PAD + r;
      let w = pixel % shape.Q * shape.STRIDE - shape.PAD + s;
      var value = vec4f();
      // Above or left of the image wraps to a huge number.
      if (pixel < end && loadColumn < columns && h < shape.H && w < shape.W) {
        value = load4(x[((n * shape.H + h) * shape.W + w) * C4 + c4]);
      }
      xTile[slot] = value;
    }
    workgroupBarrier();
    for (var g = 0u; g < TILE_K; g++) {
      var v: array<vec4f, THREAD_N / 4u>;
      for (var j = 0u; j < THREAD_N / 4u; j++) {
        v[j] = xTile[g * (TILE_N / 4u) + threadN + j * THREADS_N];
      }
      for (var i = 0u; i < THREAD_M / 4u; i++) {
        let a = dyTile[g * (TILE_M / 4u) + threadM + i * THREADS_M];
        for (var j = 0u; j < THREAD_N / 4u; j++) {
          sums[4u * i][j] = fma(vec4f(a.x), v[j], sums[4u * i][j]);
          sums[4u * i + 1u][j] = fma(vec4f(a.y), v[j], sums[4u * i + 1u][j]);
          sums[4u * i + 2u][j] = fma(vec4f(a.z), v[j], sums[4u * i + 2u][j]);
          sums[4u * i + 3u][j] = fma(vec4f(a.w), v[j], sums[4u * i + 3u][j]);
        }
      }
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < THREAD_M; i++) {
    let o = (firstGroup + threadM + i / 4u * THREADS_M) * 4u + i % 4u;
    for (var j = 0u; j < THREAD_N / 4u; j++) {
      let column = firstColumn + threadN + j * THREADS_N;
      if (o < shape.O && column < columns) {
        // The padding channels are written as zero, whatever an infinity in dy made of them.
        let channels = vec4u(column % C4 * 4u) + vec4u(0u, 1u, 2u, 3u);
        dw[(id.z * shape.O + o) * columns + column] = select(vec4f(), sums[i][j], channels < vec4u(shape.C));
      }
    }
  }
}
