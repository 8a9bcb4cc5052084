// Convolution, gradient of the input:
//   dx[n,h,w,c] = Σ over r, s, o of  dy[n,p,q,o] · weight[o,r,s,c]  with  p·STRIDE - PAD + r = h,  q·STRIDE - PAD + s = w
// dy [N,P,Q,O], weight [O,R,S,C], dx [N,H,W,C], f32 sums. A pixel that no tap reaches gets zero.
//
// Subgroup broadcasts (lib/backward-input-broadcast) compute 2·LANES pixels by 4·SUBGROUP in-channels per workgroup, with
// LANES = min(SUBGROUP, 16).
//
// Grid: a count, STRIDE² · ceil(N·ceil(H/STRIDE)·ceil(W/STRIDE) / (2·LANES)) · ceil(C / (4·SUBGROUP)).
// Measured, Mesa 25.0.7 lavapipe, 2 cores of an AMD EPYC (Zen 5), f16 storage, sizes in a uniform, GFLOP/s per core:
// [2,28,28,128]→128 3×3 74 with 16 lanes, 44 with 8; at batch 16 and 8×8 72, 4×4 73, 2×2 91, with stride 2 16×16→8×8 48;
// 0.3 s to compile (0.15 s).
//
// @use lib/backward-input-broadcast lib/mask
// @const STEP:u32
// @shape N H W C P Q O R S STRIDE PAD
// @sample STEP=4 N=3 H=5 W=6 C=10 P=3 Q=3 O=12 R=3 S=3 STRIDE=2 PAD=1

@group(0) @binding(0) var<storage, read> dy: array<Pair>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

const COLUMNS = 4u;

fn weightsAt(at: u32, column: u32) -> vec4f { return load4(weight[at]); }

fn storeResult(place: u32, column: u32, sum: vec4f, further: bool) {
  dx[place * ((shape.C + 3u) / 4u) + column] = store4(masked(sum, column, shape.C, 0.0));
}

@compute @workgroup_size(SUBGROUP) @diagnostic(off, subgroup_uniformity)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  compute(id, lane);
}
