// Convolution, gradient of the input:
//   dx[n,h,w,c] = Σ over r, s, o of  dy[n,p,q,o] · weight[o,r,s,c]  with  p·STRIDE - PAD + r = h,  q·STRIDE - PAD + s = w
// dy [N,P,Q,O], weight [O,R,S,C], dx [N,H,W,C], f32 sums. A pixel that no tap reaches gets zero.
//
// A matrix product (lib/backward-input-tiles), kept in registers as in forward-tile. dy is contiguous along K, weight
// along the in-channels, and each keeps its order in workgroup memory.
//
// Grid: a count, STRIDE² · ceil(N·ceil(H/STRIDE)·ceil(W/STRIDE) / TILE_M) · ceil(C / TILE_N).
// 18 TFLOP/s on average in a step of xresnet18 at 128 px, batch 64 (H200, whose peak in f32 is 63). Checked on lavapipe as well.
//
// @use lib/register-tiles lib/backward-input-tiles
// @const TILE_M:u32 TILE_N:u32 TILE_K:u32 THREAD_M:u32 THREAD_N:u32
// @shape N H W C P Q O R S STRIDE PAD
// @sample TILE_M=64 TILE_N=64 TILE_K=16 THREAD_M=8 THREAD_N=8
// @sample N=3 H=5 W=6 C=10 P=3 Q=3 O=12 R=3 S=3 STRIDE=2 PAD=1

@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

const PITCH = TILE_K / 4u + 1u; // pitch of a row of dy in workgroup memory: odd, so that eight rows are in eight different banks

var<workgroup> dyTile: array<vec4f, TILE_M * PITCH>;
var<workgroup> weightTile: array<vec4f, TILE_K * TILE_N / 4u>;

fn stageLeft(m: u32, group: u32, value: T4) { dyTile[m * PITCH + group] = load4(value); }
fn stageRight(k: u32, n4: u32, value: T4) { weightTile[k * (TILE_N / 4u) + n4] = load4(value); }

fn leftAt(m: u32, group: u32) -> vec4f { return dyTile[m * PITCH + group]; }
fn rightAt(group: u32, column: u32) -> mat4x4f {
  let at = group * TILE_N + column;
  return mat4x4f(
    weightTile[at], weightTile[at + TILE_N / 4u],
    weightTile[at + TILE_N / 2u], weightTile[at + TILE_N / 4u * 3u]);
}
