// Convolution, forward:
//   y[n,p,q,o] = Σ over r, s, c of  x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, c] · weight[o,r,s,c]
// x [N,H,W,C], weight [O,R,S,C], y [N,P,Q,O], f32 sums. Taps outside the image count as zero.
//
// A matrix product (lib/forward-tiles) by the matrix units of a GPU. Storage type f16, C stored as a multiple of
// eight channels: a thread loads eight at once.
//
// Grid: a count, ceil(N·P·Q / TILE_M) · ceil(O / TILE_N).
// 164 TFLOP/s on average in a step of xresnet18 at 128 px, batch 256 (H200, bench/results/h200-kernels.md). Also checked with
// lib/matrix-emulated and on the 8×8×8 matrices of Mesa 26.1's software adapter.
//
// @use lib/matrix lib/forward-tiles lib/matrix-product
// @const LANES:u32 TILE_M:u32 TILE_N:u32 TILE_K:u32 SUBGROUPS_M:u32 SUBGROUPS_N:u32 MATRIX_M:u32 MATRIX_N:u32 MATRIX_K:u32 MATRIX_F32:bool
// @shape N H W C P Q O R S STRIDE PAD
// @sample LANES=32 TILE_M=32 TILE_N=32 TILE_K=16 SUBGROUPS_M=2 SUBGROUPS_N=1 MATRIX_M=16 MATRIX_N=16 MATRIX_K=16 MATRIX_F32=false
// @sample N=3 H=5 W=6 C=16 P=3 Q=3 O=24 R=3 S=3 STRIDE=2 PAD=1

@group(0) @binding(0) var<storage, read> x: array<Group>;
@group(0) @binding(1) var<storage, read> weight: array<Group>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

// Pitch of a row in workgroup memory: an odd number of 16 bytes, so that eight rows are in different banks.
const PITCH = TILE_K / GROUP * WORDS + 1u;

// Pixels and out-channels, each contiguous along K.
var<workgroup> leftTile: array<Group, max(TILE_M * PITCH, RESULTS)>;
var<workgroup> rightTile: array<Group, TILE_N * PITCH>;

fn stageLeft(m: u32, group: u32, value: Group) {
  leftTile[m * PITCH + group * WORDS] = staged(value, 0u);
  if (MATRIX_F32) { leftTile[m * PITCH + group * WORDS + 1u] = staged(value, 1u); }
}
fn stageRight(n: u32, group: u32, value: Group) {
  rightTile[n * PITCH + group * WORDS] = staged(value, 0u);
  if (MATRIX_F32) { rightTile[n * PITCH + group * WORDS + 1u] = staged(value, 1u); }
}

fn leftAt(m: u32, k: u32) -> Left { return leftRows(m * PITCH + k / GROUP * WORDS, PITCH); }
fn rightAt(k: u32, n: u32) -> Right { return rightColumns(n * PITCH + k / GROUP * WORDS, PITCH); }
