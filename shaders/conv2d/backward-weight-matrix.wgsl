// Convolution, gradient of the weight:
//   dw[o,r,s,c] = Σ over n, p, q of  dy[n,p,q,o] · x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, c]
// x [N,H,W,C], dy [N,P,Q,O], dw [SLICES,O,R,S,C] in f32. The pixels are split into SLICES parts, each with a dw of its
// own, which reduce-slices adds up; with one slice, dw is the result.
//
// A matrix product (lib/backward-weight-tiles) by the matrix units of a GPU. Storage type f16, O and C stored as
// multiples of eight channels: a thread loads eight at once.
//
// An infinity in dy makes its whole row o of dw infinite or NaN, also where its tap misses the image; foundInfinity [] u32
// becomes 1 where dw is either.
//
// Grid: [ceil(4·R·S·C4 / TILE_N), ceil(O / TILE_M), SLICES].
// 79 to 113 TFLOP/s in a step of xresnet18 at 128 px, batch 256 (H200, bench/results/h200.md). Also checked with
// lib/matrix-emulated and on the 8×8×8 matrices of Mesa 26.1's software adapter.
//
// @use lib/matrix lib/backward-weight-tiles
// @const LANES:u32 TILE_M:u32 TILE_N:u32 TILE_K:u32 SUBGROUPS_M:u32 SUBGROUPS_N:u32 MATRIX_M:u32 MATRIX_N:u32 MATRIX_K:u32 MATRIX_F32:bool
// @shape N H W C P Q O R S STRIDE PAD SLICES
// @sample LANES=32 TILE_M=32 TILE_N=32 TILE_K=16 SUBGROUPS_M=2 SUBGROUPS_N=1 MATRIX_M=16 MATRIX_N=16 MATRIX_K=16 MATRIX_F32=false
// @sample N=3 H=5 W=6 C=16 P=3 Q=3 O=24 R=3 S=3 STRIDE=2 PAD=1 SLICES=2

@group(0) @binding(0) var<storage, read> x: array<Group>;
@group(0) @binding(1) var<storage, read> dy: array<Group>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> foundInfinity: atomic<u32>;

// Pitch of rows in workgroup memory: an odd number of 16 bytes, so that eight rows are in different banks.
const PITCH_DY = TILE_M / GROUP * WORDS + 1u;
const PITCH_X = TILE_N / GROUP * WORDS + 1u;

const_assert TILE_M % (2u * GROUP) == 0u && TILE_N % (2u * GROUP) == 0u;

// Both contiguous across K.
var<workgroup> leftTile: array<Group, max(TILE_K * PITCH_DY, RESULTS)>;
var<workgroup> rightTile: array<Group, TILE_K * PITCH_X>;

fn stageLeft(k: u32, group: u32, value: Group) {
  leftTile[k * PITCH_DY + group * WORDS] = staged(value, 0u);
  if (MATRIX_F32) { leftTile[k * PITCH_DY + group * WORDS + 1u] = staged(value, 1u); }
}
fn stageRight(k: u32, group: u32, value: Group) {
  rightTile[k * PITCH_X + group * WORDS] = staged(value, 0u);
  if (MATRIX_F32) { rightTile[k * PITCH_X + group * WORDS + 1u] = staged(value, 1u); }
}

fn leftAt(m: u32, k: u32) -> Left { return leftColumns(k * PITCH_DY + m / GROUP * WORDS, PITCH_DY); }
fn rightAt(k: u32, n: u32) -> Right { return rightRows(k * PITCH_X + n / GROUP * WORDS, PITCH_X); }

fn compute(id: vec3u, thread: u32, subgroup: u32, lane: u32) {
  let tile = tileOf(id);
  let loads = loadsOf(tile, thread);
  var sums: Sums;
  for (var k = tile.begin; k < tile.end; k += TILE_K) {
    stageOperands(tile, loads, thread, k);
    workgroupBarrier();
    addTiles(&sums, subgroup);
    workgroupBarrier();
  }
  for (var i = 0u; i < DOWN; i++) { // @unroll
    stageRow(&sums, i, subgroup);
    for (var e = lane; e < MATRIX_M * WIDTH; e += LANES) {
      let m = partM(subgroup) + i * MATRIX_M + e / WIDTH;
      storeResult(tile, m, partN(subgroup) / 4u + e % WIDTH, resultAt(subgroup, e));
    }
  }
}
