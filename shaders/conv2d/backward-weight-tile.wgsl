// Convolution, gradient of the weight:
//   dw[o,r,s,c] = Σ over n, p, q of  dy[n,p,q,o] · x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, c]
// x [N,H,W,C], dy [N,P,Q,O], dw [SLICES,O,R,S,C] in f32 for any storage type. The pixels are split into SLICES
// parts, each with a dw of its own, which reduce-slices adds up; with one slice, dw is the result.
//
// A matrix product (lib/backward-weight-tiles), kept in registers as in forward-tile, except that both operands are
// contiguous across K, also in workgroup memory.
//
// An infinity in dy makes its whole row o of dw infinite or NaN, also where its tap misses the image; foundInfinity [] u32
// becomes 1 where dw is either.
//
// Grid: [ceil(4·R·S·C4 / TILE_N), ceil(O / TILE_M), SLICES].
// 26 TFLOP/s on average in a step of xresnet18 at 128 px, batch 64 (H200, whose peak in f32 is 63). Checked on lavapipe as well.
//
// @use lib/register-threads lib/backward-weight-tiles
// @const TILE_M:u32 TILE_N:u32 TILE_K:u32 THREAD_M:u32 THREAD_N:u32
// @shape N H W C P Q O R S STRIDE PAD SLICES
// @sample TILE_M=64 TILE_N=64 TILE_K=16 THREAD_M=8 THREAD_N=8
// @sample N=3 H=5 W=6 C=10 P=3 Q=3 O=12 R=3 S=3 STRIDE=2 PAD=1 SLICES=2

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> foundInfinity: atomic<u32>;

const_assert THREAD_M % 4u == 0u;

var<workgroup> dyTile: array<vec4f, TILE_K * TILE_M / 4u>;
var<workgroup> xTile: array<vec4f, TILE_K * TILE_N / 4u>;

fn stageLeft(k: u32, m4: u32, value: T4) { dyTile[k * (TILE_M / 4u) + m4] = load4(value); }
fn stageRight(k: u32, n4: u32, value: T4) { xTile[k * (TILE_N / 4u) + n4] = load4(value); }

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  let tile = tileOf(id);
  let loads = loadsOf(tile, thread);
  // Part of this thread: four rows of each group, and columns of four.
  let threadM = thread / THREADS_N;
  let threadN = thread % THREADS_N;
  var sums: Sums;
  for (var k = tile.begin; k < tile.end; k += TILE_K) {
    stageOperands(tile, loads, thread, k);
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
    for (var j = 0u; j < THREAD_N / 4u; j++) {
      storeResult(tile, (threadM + i / 4u * THREADS_M) * 4u + i % 4u, threadN + j * THREADS_N, sums[i][j]);
    }
  }
}
