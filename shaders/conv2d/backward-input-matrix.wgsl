// Convolution, gradient of the input:
//   dx[n,h,w,c] = Σ over r, s, o of  dy[n,p,q,o] · weight[o,r,s,c]  with  p·STRIDE - PAD + r = h,  q·STRIDE - PAD + s = w
// dy [N,P,Q,O], weight [O,R,S,C], dx [N,H,W,C], f32 sums. A pixel that no tap reaches gets zero.
//
// A matrix product (lib/backward-input-tiles) by the matrix units of a GPU. Storage type f16, O and C stored as
// multiples of eight channels: a thread loads eight at once.
//
// Grid: a count, STRIDE² · ceil(N·ceil(H/STRIDE)·ceil(W/STRIDE) / TILE_M) · ceil(C / TILE_N).
// 148 TFLOP/s on average in a step of xresnet18 at 128 px, batch 256 (H200, bench/results/h200-kernels.md). Also checked with
// lib/matrix-emulated and on the 8×8×8 matrices of Mesa 26.1's software adapter.
//
// @use lib/matrix lib/backward-input-tiles lib/matrix-product
// @const LANES:u32 TILE_M:u32 TILE_N:u32 TILE_K:u32 SUBGROUPS_M:u32 SUBGROUPS_N:u32 MATRIX_M:u32 MATRIX_N:u32 MATRIX_K:u32 MATRIX_F32:bool
// @shape N H W C P Q O R S STRIDE PAD
// @sample LANES=32 TILE_M=32 TILE_N=32 TILE_K=16 SUBGROUPS_M=2 SUBGROUPS_N=1 MATRIX_M=16 MATRIX_N=16 MATRIX_K=16 MATRIX_F32=false
// @sample N=3 H=5 W=6 C=16 P=3 Q=3 O=24 R=3 S=3 STRIDE=2 PAD=1

@group(0) @binding(0) var<storage, read> dy: array<Group>;
@group(0) @binding(1) var<storage, read> weight: array<Group>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

// Pitch of rows in workgroup memory: an odd number of 16 bytes, so that eight rows are in different banks.
const PITCH_DY = TILE_K / GROUP * WORDS + 1u;
const PITCH_WEIGHT = TILE_N / GROUP * WORDS + 1u;

const_assert TILE_N % (2u * GROUP) == 0u;

// Pixels, contiguous along K; weight, contiguous along the in-channels.
var<workgroup> leftTile: array<Group, max(TILE_M * PITCH_DY, RESULTS)>;
var<workgroup> rightTile: array<Group, TILE_K * PITCH_WEIGHT>;

fn stageLeft(m: u32, group: u32, value: Group) {
  leftTile[m * PITCH_DY + group * WORDS] = staged(value, 0u);
  if (MATRIX_F32) { leftTile[m * PITCH_DY + group * WORDS + 1u] = staged(value, 1u); }
}
fn stageRight(k: u32, group: u32, value: Group) {
  rightTile[k * PITCH_WEIGHT + group * WORDS] = staged(value, 0u);
  if (MATRIX_F32) { rightTile[k * PITCH_WEIGHT + group * WORDS + 1u] = staged(value, 1u); }
}

fn leftAt(m: u32, k: u32) -> Left { return leftRows(m * PITCH_DY + k / GROUP * WORDS, PITCH_DY); }
fn rightAt(k: u32, n: u32) -> Right { return rightRows(k * PITCH_WEIGHT + n / GROUP * WORDS, PITCH_WEIGHT); }
