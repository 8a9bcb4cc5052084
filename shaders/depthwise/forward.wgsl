// Depthwise convolution, forward, each channel with a filter of its own:
//   y[n,p,q,c] = Σ over r, s of  x[n, p·STRIDE - PAD + r·DILATION, q·STRIDE - PAD + s·DILATION, c] · packed[r,s,c]  [+ bias[c] with BIAS = 1]
//
// x: [N,H,W,C]   y: [N,P,Q,C] storage type   packed: [R,S,C] f32 (depthwise/pack)   bias: [C] f32; C = 4·VECTORS.
// Sums are f32. Taps outside the image count as zero.
// With FLIPPED = 1 the filter is read from its end: the gradient of the input at stride 1 is this convolution of dy.
//
// A thread has a vector of four channels and takes strips of TILE neighbouring pixels of a row of y: for each row of the filter it
// loads the inputs of all pixels of a strip once, into registers.
//
// Grid: one lane per vector of channels, whose rows share the strips of a row of y; rows of y along the second axis, images
// along the third. Nothing is divided: on a processor that costs as much as a load.
// @const LANES:u32 ROWS:u32 S:u32 STRIDE:u32 DILATION:u32 TILE:u32
// @shape H W P Q R PAD VECTORS FLIPPED BIAS
// @sample LANES=8 ROWS=4 S=3 STRIDE=2 DILATION=1 TILE=4 H=5 W=6 P=3 Q=3 R=3 PAD=1 VECTORS=3 FLIPPED=0 BIAS=1

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> packed: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<T4>;

const SPAN = (TILE - 1u) * STRIDE + (S - 1u) * DILATION + 1u;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  if (channel >= shape.VECTORS) { return; }
  let p = group.y;
  var start = vec4f();
  if (shape.BIAS == 1u) { start = bias[channel]; }
  for (var q = thread / LANES * TILE; q < shape.Q; q += ROWS * TILE) {
    // A row or column before the image wraps around to a large number.
    let left = q * STRIDE - shape.PAD;
    var sums = array<vec4f, TILE>();
    for (var t = 0u; t < TILE; t++) { // @unroll
      sums[t] = start;
    }
    for (var r = 0u; r < shape.R; r++) {
      let h = p * STRIDE + r * DILATION - shape.PAD;
      if (h < shape.H) {
        let line = (group.z * shape.H + h) * shape.W;
        var inputs = array<vec4f, SPAN>();
        for (var k = 0u; k < SPAN; k++) { // @unroll
          let w = left + k;
          inputs[k] = select(vec4f(), load4(x[(line + min(w, shape.W - 1u)) * shape.VECTORS + channel]), w < shape.W);
        }
        for (var s = 0u; s < S; s++) { // @unroll
          let tap = r * S + s;
          let weight = packed[select(tap, shape.R * S - 1u - tap, shape.FLIPPED == 1u) * shape.VECTORS + channel];
          for (var t = 0u; t < TILE; t++) { // @unroll
            sums[t] = fma(inputs[t * STRIDE + s * DILATION], weight, sums[t]);
          }
        }
      }
    }
    let place = ((group.z * shape.P + p) * shape.Q + q) * shape.VECTORS + channel;
    for (var t = 0u; t < TILE; t++) { // @unroll
      if (q + t < shape.Q) { y[place + t * shape.VECTORS] = store4(sums[t]); }
    }
  }
}
