// Gradients of weight and bias from the sums of the runs, and the coefficients of dx = scale·g + b·(x - mean) + d:
//
//   dbias = Σ sums[s]    dweight = inverse·Σ products[s],  inverse = 1/√(variance + EPSILON)
//   with TRAINING  b = -scale·inverse·dweight / PIXELS,  d = -scale·dbias / PIXELS;  otherwise 0
//   foundInfinity = 1 where dweight or dbias is Inf or NaN
//
// sums, products: [SLICES,C]   channels: [3,C] as in finish.wgsl   dweight, dbias: [C]   coefficients: [2,C]   all f32,
// C = CHANNELS with the padding   foundInfinity: [] u32
// Grid: one lane per channel, as in finish.wgsl; the rows of threads share the runs.
// @use lib/rows lib/overflow
// @const LANES:u32 ROWS:u32 TRAINING:bool
// @shape PIXELS SLICES CHANNELS
// @sample LANES=4 ROWS=8 TRAINING=true PIXELS=35 SLICES=2 CHANNELS=12

@group(0) @binding(0) var<storage, read> sums: array<f32>;
@group(0) @binding(1) var<storage, read> products: array<f32>;
@group(0) @binding(2) var<storage, read> channels: array<f32>;
@group(0) @binding(3) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(4) var<storage, read_write> dbias: array<f32>;
@group(0) @binding(5) var<storage, read_write> coefficients: array<f32>;
@group(0) @binding(6) var<storage, read_write> foundInfinity: atomic<u32>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  let column = min(channel, shape.CHANNELS - 1u);
  var own = vec4f();
  var s = thread / LANES;
  if (AT_ONCE > 1u) {
    for (; s + (AT_ONCE - 1u) * ROWS < shape.SLICES; s += AT_ONCE * ROWS) {
      var loaded: array<vec2f, AT_ONCE>;
      for (var k = 0u; k < AT_ONCE; k++) { // @unroll
        let at = (s + k * ROWS) * shape.CHANNELS + column;
        loaded[k] = vec2f(sums[at], products[at]);
      }
      for (var k = 0u; k < AT_ONCE; k++) { // @unroll
        own += vec4f(loaded[k], 0.0, 0.0);
      }
    }
  }
  for (; s < shape.SLICES; s += ROWS) {
    own.x += sums[s * shape.CHANNELS + column];
    own.y += products[s * shape.CHANNELS + column];
  }
  let total = sumRows(own, thread);
  let sum = total.x;
  let product = total.y;
  if (thread < LANES && channel < shape.CHANNELS) {
    let inverse = channels[shape.CHANNELS + channel];
    let scale = channels[2u * shape.CHANNELS + channel];
    let slope = product * inverse;
    dbias[channel] = sum;
    dweight[channel] = slope;
    checkOverflow(isOverflow(vec4f(sum, slope, 0.0, 0.0)));
    var b = 0.0;
    var d = 0.0;
    if (TRAINING) {
      // In this order, as inverse³ is no normal number of f32 from a deviation of 1e13 on.
      b = -scale * inverse * slope / f32(shape.PIXELS);
      d = -scale * sum / f32(shape.PIXELS);
    }
    coefficients[channel] = b;
    coefficients[shape.CHANNELS + channel] = d;
  }
}
