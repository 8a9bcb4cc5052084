// Convolution in groups, with dilation:
//   y[n,p,q,o] = Σ over r, s, c of  x[n, p·STRIDE - PAD + r·DILATION, q·STRIDE - PAD + s·DILATION, g·C/GROUPS + c] · weight[o,r,s,c]
// with g = ⌊o / (O/GROUPS)⌋, the group of o.
//
// x: [N,H,W,C]   weight: [O,R,S,C/GROUPS]   y: [N,P,Q,O] storage type. Sums are f32. Taps outside the image count as zero.
// ALIGNED: there is one group, or C/GROUPS and O/GROUPS are multiples of four, so that vectors of four channels are in one group.
//
// One thread per vector of four out-channels and TILE neighbouring pixels, which share the loaded filters.
//
// Grid: a count, ceil(N·P·ceil(Q / TILE)·ceil(O / 4) / 64).
// @use lib/mask
// @const TILE:u32 ALIGNED:bool
// @shape N H W C P Q O R S STRIDE PAD DILATION GROUPS
// @sample TILE=4 ALIGNED=true N=3 H=5 W=6 C=8 P=3 Q=3 O=16 R=3 S=3 STRIDE=2 PAD=1 DILATION=1 GROUPS=2

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

// Channels of a group from `first` on, four of them from `v`·4 on, whichever vectors they are in.
fn gather(pixel: u32, first: u32, v: u32, channels: u32) -> vec4f {
  var four = vec4f();
  for (var j = 0u; j < 4u; j++) {
    let c = first + 4u * v + j;
    if (4u * v + j < channels) { four[j] = load4(x[pixel * ((shape.C + 3u) / 4u) + c / 4u])[c % 4u]; }
  }
  return four;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  let vectors = (shape.O + 3u) / 4u;
  let strips = (shape.Q + TILE - 1u) / TILE;
  let row = i / (vectors * strips);
  if (row >= shape.N * shape.P) { return; }
  let out = i % vectors;
  let q = i / vectors % strips * TILE;
  let channels = shape.C / shape.GROUPS;
  let outs = shape.O / shape.GROUPS;
  let depth = (channels + 3u) / 4u;
  let filterSize = shape.R * shape.S * depth;
  let first = out * 4u / outs * channels / 4u;
  var sums = array<vec4f, TILE>();
  for (var r = 0u; r < shape.R; r++) {
    // A row or column before the image wraps around to a large number.
    let h = row % shape.P * shape.STRIDE + r * shape.DILATION - shape.PAD;
    if (h >= shape.H) { continue; }
    let line = (row / shape.P * shape.H + h) * shape.W;
    for (var s = 0u; s < shape.S; s++) {
      let left = q * shape.STRIDE + s * shape.DILATION - shape.PAD;
      for (var v = 0u; v < depth; v++) {
        let tap = (r * shape.S + s) * depth + v;
        var filters = mat4x4f();
        for (var j = 0u; j < 4u; j++) {
          filters[j] = load4(weight[min(out * 4u + j, shape.O - 1u) * filterSize + tap]);
        }
        for (var t = 0u; t < TILE; t++) { // @unroll
          let w = left + t * shape.STRIDE;
          if (w < shape.W) {
            if (ALIGNED) {
              sums[t] += load4(x[(line + w) * ((shape.C + 3u) / 4u) + first + v]) * filters;
            } else {
              for (var j = 0u; j < 4u; j++) {
                let o = min(out * 4u + j, shape.O - 1u);
                sums[t][j] += dot(gather(line + w, o / outs * channels, v, channels), filters[j]);
              }
            }
          }
        }
      }
    }
  }
  for (var t = 0u; t < TILE; t++) { // @unroll
    if (q + t < shape.Q) { y[(row * shape.Q + q + t) * vectors + out] = store4(masked(sums[t], out, shape.O, 0.0)); }
  }
}
