// Convolution, forward:
//   y[n,p,q,o] = Σ over r, s, c of  x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, c] · weight[o,r,s,c]
// x [N,H,W,C], weight [O,R,S,C], y [N,P,Q,O], f32 sums. Taps outside the image count as zero.
//
// forward-broadcast for few out-channels, which would leave lanes idle there: 4·LANES pixels by 2·SUBGROUP out-channels
// per workgroup, with LANES = min(SUBGROUP, 16).
//
// Grid: a count, ceil(N·P·Q / (4·LANES)) · ceil(O / (2·SUBGROUP)).
// Measured, Mesa 25.0.7 lavapipe, 2 cores of an AMD EPYC (Zen 5), f16 storage, sizes in a uniform, 16 lanes,
// GFLOP/s per core: [16,32,32,32]→32 3×3 52 (forward-broadcast 32), [16,64,64,3]→32 3×3 /2 14 (9.4), f32 40 (24); on 128 channels
// 66 (73).
//
// @use lib/forward-broadcast
// @const STEP:u32
// @shape N H W C P Q O R S STRIDE PAD
// @sample STEP=4 N=3 H=5 W=6 C=10 P=3 Q=3 O=12 R=3 S=3 STRIDE=2 PAD=1

@group(0) @binding(0) var<storage, read> x: array<Pair>;
@group(0) @binding(1) var<storage, read> weight: array<Pair>;
@group(0) @binding(2) var<storage, read_write> y: array<T2>;

const COLUMNS = 2u;

fn storeResult(place: u32, column: u32, sum: vec4f, further: bool) {
  let channels = vec2u(column * 2u) + vec2u(0u, 1u);
  let pair = select(sum.xy, sum.zw, further);
  y[place * ((shape.O + 3u) / 4u * 2u) + column] = store2(select(vec2f(), pair, channels < vec2u(shape.O)));
}

@compute @workgroup_size(SUBGROUP) @diagnostic(off, subgroup_uniformity)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  compute(id, lane);
}
