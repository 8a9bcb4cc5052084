// The sums that the gradients of weight and bias of a layer norm are made of, of each of SLICES runs of RUN rows:
//   sums[k,c] = Σ dy[p,c]   products[k,c] = Σ dy[p,c]·(x[p,c] - mean[p])·inverse[p]   over the rows p of run k
//
// x, dy: [PIXELS,C] storage type   means, inverses: [PIXELS] f32   sums, products: [SLICES,C] f32; C padded to 4·VECTORS
// Grid: one lane per vector of channels, one row of workgroups per run.
// @use lib/rows lib/long-sum lib/mask
// @const LANES:u32 ROWS:u32
// @shape PIXELS RUN C VECTORS
// @sample LANES=8 ROWS=4 PIXELS=35 RUN=18 C=10 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read> means: array<f32>;
@group(0) @binding(3) var<storage, read> inverses: array<f32>;
@group(0) @binding(4) var<storage, read_write> sums: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> products: array<vec4f>;

// dy and dy·(x - mean)·inverse
alias Sum = mat2x4f;

struct Loaded { x: T4, dy: T4, mean: f32, inverse: f32 }

fn loaded(i: u32) -> Loaded {
  let row = i / shape.VECTORS;
  return Loaded(x[i], dy[i], means[row], inverses[row]);
}

fn term(kept: Loaded) -> Sum {
  let g = load4(kept.dy);
  return Sum(g, g * (load4(kept.x) - kept.mean) * kept.inverse);
}

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  // No early return: every thread must reach the barriers.
  let column = min(channel, shape.VECTORS - 1u);
  let first = group.y * shape.RUN + thread / LANES;
  let end = min((group.y + 1u) * shape.RUN, shape.PIXELS);
  let most = countOf(0u, shape.RUN, ROWS);
  let own = longSum(first * shape.VECTORS + column, ROWS * shape.VECTORS, countOf(first, end, ROWS), most);
  let sum = sumRows(own[0], thread);
  let product = sumRows(own[1], thread);
  if (thread < LANES && channel < shape.VECTORS) {
    let place = group.y * shape.VECTORS + channel;
    sums[place] = sum;
    // Where a mean is Inf or NaN, so is its product with the zeros in the padding of dy.
    products[place] = masked(product, channel, shape.C, 0.0);
  }
}
