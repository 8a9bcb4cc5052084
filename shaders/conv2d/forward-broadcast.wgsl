// Convolution, forward:
//   y[n,p,q,o] = Σ over r, s, c of  x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, c] · weight[o,r,s,c]
// x [N,H,W,C], weight [O,R,S,C], y [N,P,Q,O], f32 sums. Taps outside the image count as zero.
//
// Subgroup broadcasts (lib/forward-broadcast) compute 2·LANES pixels by 4·SUBGROUP out-channels per workgroup, with
// LANES = min(SUBGROUP, 16).
//
// Grid: a count, ceil(N·P·Q / (2·LANES)) · ceil(O / (4·SUBGROUP)).
// Measured, Mesa 25.0.7 lavapipe, 2 cores of an AMD EPYC (Zen 5), f16 storage, sizes in a uniform, GFLOP/s per core:
// [2,28,28,128]→128 3×3 75 with 16 lanes, 44 with 8; at batch 16 and 8×8 73, 4×4 79, 2×2 93 (skipped taps counted as
// work); 0.3 s to compile (0.15 s).
//
// @use lib/forward-broadcast lib/mask
// @const STEP:u32
// @shape N H W C P Q O R S STRIDE PAD
// @sample STEP=4 N=3 H=5 W=6 C=10 P=3 Q=3 O=12 R=3 S=3 STRIDE=2 PAD=1

@group(0) @binding(0) var<storage, read> x: array<Pair>;
@group(0) @binding(1) var<storage, read> weight: array<Pair>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

const COLUMNS = 4u;

fn storeResult(place: u32, column: u32, sum: vec4f, further: bool) {
  y[place * ((shape.O + 3u) / 4u) + column] = store4(masked(sum, column, shape.O, 0.0));
}

@compute @workgroup_size(SUBGROUP) @diagnostic(off, subgroup_uniformity)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  compute(id, lane);
}
