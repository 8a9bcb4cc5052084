// Convolution, forward:
//   y[n,p,q,o] = Σ over r, s, c of  x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, c] · weight[o,r,s,c]
// x [N,H,W,C], weight [O,R,S,C], y [N,P,Q,O], f32 sums. Taps outside the image count as zero.
//
// A matrix product (lib/forward-tiles), a tile of which a workgroup keeps in the registers of its threads. Both operands
// are contiguous along K, also in workgroup memory. For any GPU; no subgroups.
//
// Grid: a count, ceil(N·P·Q / TILE_M) · ceil(O / TILE_N).
// 21 TFLOP/s on average in a step of xresnet18 at 128 px, batch 64 (H200, whose peak in f32 is 63). Checked on lavapipe as well.
//
// @use lib/register-tiles lib/forward-tiles
// @const TILE_M:u32 TILE_N:u32 TILE_K:u32 THREAD_M:u32 THREAD_N:u32
// @shape N H W C P Q O R S STRIDE PAD
// @sample TILE_M=64 TILE_N=64 TILE_K=16 THREAD_M=8 THREAD_N=8
// @sample N=3 H=5 W=6 C=10 P=3 Q=3 O=12 R=3 S=3 STRIDE=2 PAD=1

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

const PITCH = TILE_K / 4u + 1u; // pitch of a row in workgroup memory: odd, so that eight rows are in eight different banks

var<workgroup> xTile: array<vec4f, TILE_M * PITCH>;
// Channel 4·i + j of the tile is in row j·TILE_N/4 + i: neighbouring threads read neighbouring rows.
var<workgroup> weightTile: array<vec4f, TILE_N * PITCH>;

fn stageLeft(m: u32, group: u32, value: T4) { xTile[m * PITCH + group] = load4(value); }
fn stageRight(n: u32, group: u32, value: T4) {
  weightTile[(n % 4u * (TILE_N / 4u) + n / 4u) * PITCH + group] = load4(value);
}

fn leftAt(m: u32, group: u32) -> vec4f { return xTile[m * PITCH + group]; }
fn rightAt(group: u32, column: u32) -> mat4x4f {
  return transpose(mat4x4f(
    weightTile[column * PITCH + group], weightTile[(TILE_N / 4u + column) * PITCH + group],
    weightTile[(TILE_N / 2u + column) * PITCH + group], weightTile[(TILE_N / 4u * 3u + column) * PITCH + group]));
}
