// Convolution in groups, gradient of the input:
//   dx[n,h,w,g·C/GROUPS + c] = Σ over r, s and the o of group g of  dy[n, (h + PAD - r·DILATION)/STRIDE, (w + PAD - s·DILATION)/STRIDE, o] · weight[o,r,s,c]
// over the taps for which both divisions come out even, inside dy.
//
// dy: [N,P,Q,O]   weight: [O,R,S,C/GROUPS]   dx: [N,H,W,C] storage type. Sums are f32. ALIGNED as in grouped-conv/forward.
//
// One thread per vector of four channels of dx and TILE pixels of a row, STRIDE apart: these have the same taps, and share the
// loaded filters.
//
// Grid: a count, ceil(N·H·STRIDE·ceil(ceil(W / STRIDE) / TILE)·ceil(C / 4) / 64).
// @use lib/mask
// @const TILE:u32 ALIGNED:bool
// @shape N H W C P Q O R S STRIDE PAD DILATION GROUPS
// @sample TILE=4 ALIGNED=true N=3 H=5 W=6 C=8 P=3 Q=3 O=16 R=3 S=3 STRIDE=2 PAD=1 DILATION=1 GROUPS=2

@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  let vectors = (shape.C + 3u) / 4u;
  let strips = ((shape.W + shape.STRIDE - 1u) / shape.STRIDE + TILE - 1u) / TILE * shape.STRIDE;
  let row = i / (vectors * strips);
  if (row >= shape.N * shape.H) { return; }
  let own = i % vectors;
  let strip = i / vectors % strips;
  let w = strip / shape.STRIDE * TILE * shape.STRIDE + strip % shape.STRIDE;
  let channels = shape.C / shape.GROUPS;
  let outs = shape.O / shape.GROUPS;
  let depth = (channels + 3u) / 4u;
  let outVectors = (shape.O + 3u) / 4u;
  let filterSize = shape.R * shape.S * depth;
  var sums = array<vec4f, TILE>();
  for (var r = 0u; r < shape.R; r++) {
    // A row before dy wraps around to a large number.
    let a = row % shape.H + shape.PAD - r * shape.DILATION;
    let p = a / shape.STRIDE;
    if (a % shape.STRIDE != 0u || p >= shape.P) { continue; }
    let line = (row / shape.H * shape.P + p) * shape.Q;
    for (var s = 0u; s < shape.S; s++) {
      // With a sign: of a strip that begins before dy, later pixels may be inside.
      let b = i32(w + shape.PAD) - i32(s * shape.DILATION);
      if (b % i32(shape.STRIDE) != 0) { continue; }
      let first = b / i32(shape.STRIDE);
      let tap = (r * shape.S + s) * depth;
      if (ALIGNED) {
        let g = own * 4u / channels;
        let v = own - g * channels / 4u;
        for (var o = g * outs; o < (g + 1u) * outs; o += 4u) {
          var filters = mat4x4f();
          for (var j = 0u; j < 4u; j++) {
            filters[j] = load4(weight[min(o + j, shape.O - 1u) * filterSize + tap + v]);
          }
          for (var t = 0u; t < TILE; t++) { // @unroll
            let q = first + i32(t);
            if (q >= 0 && q < i32(shape.Q)) { sums[t] += filters * load4(dy[(line + u32(q)) * outVectors + o / 4u]); }
          }
        }
      } else {
        for (var j = 0u; j < 4u; j++) {
          let c = min(own * 4u + j, shape.C - 1u);
          let g = c / channels;
          for (var o = g * outs; o < (g + 1u) * outs; o++) {
            let filterValue = load4(weight[o * filterSize + tap + c % channels / 4u])[c % channels % 4u];
            for (var t = 0u; t < TILE; t++) { // @unroll
              let q = first + i32(t);
              if (q >= 0 && q < i32(shape.Q)) {
                sums[t][j] += filterValue * load4(dy[(line + u32(q)) * outVectors + o / 4u])[o % 4u];
              }
            }
          }
        }
      }
    }
  }
  for (var t = 0u; t < TILE; t++) { // @unroll
    let place = w + t * shape.STRIDE;
    if (place < shape.W) { dx[(row * shape.W + place) * vectors + own] = store4(masked(sums[t], own, shape.C, 0.0)); }
  }
}
