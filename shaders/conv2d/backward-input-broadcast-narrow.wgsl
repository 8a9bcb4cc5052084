// Convolution, gradient of the input:
//   dx[n,h,w,c] = Σ over r, s, o of  dy[n,p,q,o] · weight[o,r,s,c]  with  p·STRIDE - PAD + r = h,  q·STRIDE - PAD + s = w
// dy [N,P,Q,O], weight [O,R,S,C], dx [N,H,W,C], f32 sums. A pixel that no tap reaches gets zero.
//
// backward-input-broadcast for few in-channels, which would leave lanes idle there: 4·LANES pixels by 2·SUBGROUP in-channels
// per workgroup, with LANES = min(SUBGROUP, 16).
//
// Grid: a count, STRIDE² · ceil(N·ceil(H/STRIDE)·ceil(W/STRIDE) / (4·LANES)) · ceil(C / (2·SUBGROUP)).
// Measured, Mesa 25.0.7 lavapipe, 2 cores of an AMD EPYC (Zen 5), f16 storage, sizes in a uniform, 16 lanes,
// GFLOP/s per core: [16,32,32,32]→32 3×3 49 (backward-input-broadcast 29), →64 56 (33), f32 40 (23).
//
// @use lib/backward-input-broadcast
// @const STEP:u32
// @shape N H W C P Q O R S STRIDE PAD
// @sample STEP=4 N=3 H=5 W=6 C=10 P=3 Q=3 O=12 R=3 S=3 STRIDE=2 PAD=1

@group(0) @binding(0) var<storage, read> dy: array<Pair>;
@group(0) @binding(1) var<storage, read> weight: array<T2>;
@group(0) @binding(2) var<storage, read_write> dx: array<T2>;

const COLUMNS = 2u;

// Loads this lane's half of a vector of four: loading all of it would take a quarter longer.
fn weightsAt(at: u32, column: u32) -> vec4f {
  let pair = load2(weight[at * 2u + column % 2u]);
  return vec4f(pair, pair);
}

// The padding channels are written as zero, even if dy contains Inf.
fn storeResult(place: u32, column: u32, sum: vec4f, further: bool) {
  let channels = vec2u(column * 2u) + vec2u(0u, 1u);
  let pair = select(sum.xy, sum.zw, further);
  dx[place * ((shape.C + 3u) / 4u * 2u) + column] = store2(select(vec2f(), pair, channels < vec2u(shape.C)));
}

@compute @workgroup_size(SUBGROUP) @diagnostic(off, subgroup_uniformity)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  compute(id, lane);
}
