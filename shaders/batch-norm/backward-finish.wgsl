// Gradients of weight and bias from the sums of the runs, and the coefficients of dx = scale·g + b·(x - mean) + d:
//
//   dbias = Σ sums[s]    dweight = inverse·Σ products[s],  inverse = 1/√(variance + EPSILON)
//   with TRAINING  b = -scale·inverse·dweight / PIXELS,  d = -scale·dbias / PIXELS;  otherwise 0
//   foundInfinity = 1 where dweight or dbias is Inf or NaN
//
// sums, products: [SLICES,C]   channels: [3,C] as in finish.wgsl   dweight, dbias: [C]   coefficients: [2,C]   all f32
// foundInfinity: [] u32
// Grid: one lane per vector of channels; the rows of threads share the runs.
// @use lib/rows lib/overflow
// @const LANES:u32 ROWS:u32 TRAINING:bool
// @shape PIXELS SLICES VECTORS
// @sample LANES=4 ROWS=8 TRAINING=true PIXELS=35 SLICES=2 VECTORS=3

@group(0) @binding(0) var<storage, read> sums: array<vec4f>;
@group(0) @binding(1) var<storage, read> products: array<vec4f>;
@group(0) @binding(2) var<storage, read> channels: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dweight: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dbias: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> coefficients: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> foundInfinity: atomic<u32>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  let column = min(channel, shape.VECTORS - 1u);
  var sum = vec4f();
  var product = vec4f();
  for (var s = thread / LANES; s < shape.SLICES; s += ROWS) {
    sum += sums[s * shape.VECTORS + column];
    product += products[s * shape.VECTORS + column];
  }
  sum = sumRows(sum, thread);
  product = sumRows(product, thread);
  if (thread < LANES && channel < shape.VECTORS) {
    let inverse = channels[shape.VECTORS + channel];
    let scale = channels[2u * shape.VECTORS + channel];
    dbias[channel] = sum;
    dweight[channel] = product * inverse;
    checkOverflow(isOverflow(sum) || isOverflow(product * inverse));
    var b = vec4f();
    var d = vec4f();
    if (TRAINING) {
      b = -scale * inverse * inverse * product / f32(shape.PIXELS);
      d = -scale * sum / f32(shape.PIXELS);
    }
    coefficients[channel] = b;
    coefficients[shape.VECTORS + channel] = d;
  }
}
