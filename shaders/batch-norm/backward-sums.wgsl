// The two sums that the gradients of a batch norm need, of each of SLICES runs of RUN pixels:
//
//   sums[s,c] = Σ g[p,c]   products[s,c] = Σ g[p,c]·(x[p,c] - mean[c])   over the pixels p of run s
//   g = dy, with RELU = 1 it is 0 where (x - mean)·scale + bias ≤ 0
//
// x, dy: [PIXELS,C] storage type   channels: [3,C] f32, rows mean, -, scale   bias: [C] f32
// sums, products: [SLICES,C] f32; C = 4·VECTORS
// The sign of the output is computed again rather than read: arithmetic costs less than memory.
// Grid: one lane per vector of channels, one row of workgroups per run.
// @use lib/rows lib/long-sum lib/nan
// @const LANES:u32 ROWS:u32
// @shape PIXELS RUN VECTORS RELU
// @sample LANES=8 ROWS=4 PIXELS=35 RUN=18 VECTORS=3 RELU=1

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read> channels: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> sums: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> products: array<vec4f>;

// The values of a thread's column.
var<private> mean: vec4f;
var<private> scale: vec4f;
var<private> offset: vec4f;

// g and g·(x - mean)
alias Sum = mat2x4f;

struct Loaded { x: T4, dy: T4 }

fn loaded(i: u32) -> Loaded { return Loaded(x[i], dy[i]); }

fn term(kept: Loaded) -> Sum {
  let distance = load4(kept.x) - mean;
  var g = load4(kept.dy);
  if (shape.RELU == 1u) { g = select(vec4f(), g, isPositive(distance * scale + offset)); }
  return Sum(g, g * distance);
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  let column = min(channel, shape.VECTORS - 1u);
  mean = channels[column];
  scale = channels[2u * shape.VECTORS + column];
  offset = bias[column];
  let first = group.y * shape.RUN + thread / LANES;
  let end = min((group.y + 1u) * shape.RUN, shape.PIXELS);
  let most = countOf(0u, shape.RUN, ROWS);
  let own = longSum(first * shape.VECTORS + column, ROWS * shape.VECTORS, countOf(first, end, ROWS), most);
  let sum = sumRows(own[0], thread);
  let product = sumRows(own[1], thread);
  if (thread < LANES && channel < shape.VECTORS) {
    let at = group.y * shape.VECTORS + channel;
    sums[at] = sum;
    products[at] = product;
  }
}
