// The two sums that the gradients of a batch norm need, of each of SLICES runs of RUN pixels:
//
//   sums[s,c] = Σ g[p,c]   products[s,c] = Σ g[p,c]·(x[p,c] - mean[c])   over the pixels p of run s
//   g = dy, with RELU where (x - mean)·scale + bias > 0, else 0
//
// x, dy: [PIXELS,C] storage type   channels: [3,C] f32, rows mean, -, scale   bias: [C] f32
// sums, products: [SLICES,C] f32; C = 4·VECTORS
// The sign of the output is computed again rather than read: arithmetic costs less than memory.
// Grid: a lane a vector of channels, a row of workgroups a run.
// @use lib/rows
// @const LANES:u32 ROWS:u32 RELU:bool
// @shape PIXELS RUN VECTORS
// @sample LANES=8 ROWS=4 RELU=true PIXELS=35 RUN=18 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read> channels: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> sums: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> products: array<vec4f>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  let column = min(channel, shape.VECTORS - 1u);
  let mean = channels[column];
  let scale = channels[2u * shape.VECTORS + column];
  let offset = bias[column];
  let first = group.y * shape.RUN;
  let end = min(first + shape.RUN, shape.PIXELS);
  var sum = vec4f();
  var product = vec4f();
  for (var p = first + thread / LANES; p < end; p += ROWS) {
    let distance = load4(x[p * shape.VECTORS + column]) - mean;
    var g = load4(dy[p * shape.VECTORS + column]);
    if (RELU) { g = select(vec4f(), g, distance * scale + offset > vec4f()); }
    sum += g;
    product += g * distance;
  }
  sum = sumRows(sum, thread);
  product = sumRows(product, thread);
  if (thread < LANES && channel < shape.VECTORS) {
    let at = group.y * shape.VECTORS + channel;
    sums[at] = sum;
    products[at] = product;
  }
}
