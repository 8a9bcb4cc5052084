// Convolution, gradient of the weight:
//   dw[o,r,s,c] = Σ over n, p, q of  dy[n,p,q,o] · x[n, p·STRIDE - PAD + r, q·STRIDE - PAD + s, c]
// x [N,H,W,C], dy [N,P,Q,O], dw [SLICES,O,R,S,C] in f32 for any storage type. The pixels are split into SLICES
// parts, each with a dw of its own, which reduce-slices adds up; with one slice, dw is the result.
//
// No workgroup memory: one workgroup is one subgroup and computes 2·LANES out-channels by SUBGROUP columns of four
// in-channels. A column is a tap and four channels, numbered in one row (tap·C4 + c/4), so that few channels do not
// leave lanes idle. Per step of STEP pixels each lane loads its own column's inputs and four channels of dy, with a step
// of four at two places, which are shared by broadcasts.
//
// The pixels of a slice are walked over in runs: a run is all images of one position (q, p), where that wastes no
// steps, or otherwise one row of one image. Each lane skips the part of a run where its tap misses the image.
//
// An infinity in dy makes its whole row o of dw infinite or NaN, also where its tap misses the image; foundInfinity [] u32
// becomes 1 where dw is either.
//
// Grid: [ceil(R·S·C4 / SUBGROUP), ceil(O / (2·LANES)), SLICES], with LANES = min(SUBGROUP, 16).
// Measured, Mesa 25.0.7 lavapipe, 2 cores of an AMD EPYC (Zen 5), f16 storage, sizes in a uniform, GFLOP/s per core:
// [2,28,28,128]→128 3×3 69 with 16 lanes, 42 with 8; at batch 16 and 32×32 68, 8×8 67, 2×2 74; 0.5 s to compile (0.25 s).
//
// @use lib/broadcast-tile lib/mask lib/overflow
// @const STEP:u32
// @shape N H W C P Q O R S STRIDE PAD SLICES
// @sample STEP=4 N=3 H=5 W=6 C=10 P=3 Q=3 O=12 R=3 S=3 STRIDE=2 PAD=1 SLICES=2

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> foundInfinity: atomic<u32>;

const COLUMNS = 4u;

// One out-channel at the pixels of a step: the values of four lanes from a given one on. With a step of two these are
// two channels.
@diagnostic(off, subgroup_uniformity)
fn lanes0(value: f32) -> vec4f {
  return vec4f(
    subgroupBroadcast(value, 0u), subgroupBroadcast(value, 1u),
    subgroupBroadcast(value, 2u), subgroupBroadcast(value, 3u));
}

@diagnostic(off, subgroup_uniformity)
fn lanes4(value: f32) -> vec4f {
  return vec4f(
    subgroupBroadcast(value, 4u), subgroupBroadcast(value, 5u),
    subgroupBroadcast(value, 6u), subgroupBroadcast(value, 7u));
}

@diagnostic(off, subgroup_uniformity)
fn lanes8(value: f32) -> vec4f {
  return vec4f(
    subgroupBroadcast(value, 8u), subgroupBroadcast(value, 9u),
    subgroupBroadcast(value, 10u), subgroupBroadcast(value, 11u));
}

@diagnostic(off, subgroup_uniformity)
fn lanes12(value: f32) -> vec4f {
  return vec4f(
    subgroupBroadcast(value, 12u), subgroupBroadcast(value, 13u),
    subgroupBroadcast(value, 14u), subgroupBroadcast(value, 15u));
}

// Values that are added to the sums from 16 on.
fn second(a: vec4f, b: vec4f) -> vec4f {
  if (STEP == 2u) { return a.zwzw; }
  return b;
}

@compute @workgroup_size(SUBGROUP) @diagnostic(off, subgroup_uniformity)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let C4 = (shape.C + 3u) / 4u;
  let O4 = (shape.O + 3u) / 4u;
  let columns = shape.R * shape.S * C4;
  let column = min(id.x * SUBGROUP + lane, columns - 1u);
  let tap = column / C4;
  let r = tap / shape.S;
  let s = tap % shape.S;

  // STEP pixels per step. Those of a row are adjacent in memory, which makes 56×56 3.2 times as fast. Along the images,
  // small images take fewer steps, and whole runs miss the image.
  let area = shape.P * shape.Q;
  let stepsOfRows = shape.N * ((shape.Q + STEP - 1u) / STEP);
  let stepsOfImages = (shape.N + STEP - 1u) / STEP * shape.Q;
  let alongImages = area <= 256u && stepsOfImages < stepsOfRows + select(0u, 1u, area < 64u);
  let run = select(shape.Q, shape.N, alongImages);
  let runs = select(shape.N, shape.Q, alongImages) * shape.P;
  let stepX = select(shape.STRIDE, shape.H * shape.W, alongImages) * C4;
  let stepDy = select(1u, shape.P * shape.Q, alongImages) * O4;
  // The part of a row in which this lane's tap meets the image.
  let leftmost = (max(shape.PAD, s) - s + shape.STRIDE - 1u) / shape.STRIDE;
  let rightmost = min((shape.W + shape.PAD + shape.STRIDE - 1u - min(s, shape.W + shape.PAD)) / shape.STRIDE, shape.Q);

  // The lanes that load dy: 0 to 3 the four pixels' channels o to o+3, 4 to 7 the next four, and so on;
  // then the second place. With a step of two, lanes 0 and 1 load the first, 2 and 3 the second.
  let o4 = id.y * (TILE / 4u) + lane % LANES / 4u;
  let groupA = min(o4 + lane % 4u / STEP * (LANES / 4u), O4 - 1u);
  let groupB = min(o4 + LANES / 4u, O4 - 1u);

  var tile = Tile();

  // Runs are numbered (p, q) along the images, (n, p) along the rows; `i` and `j` are these two, counted on.
  let perSlice = (runs + shape.SLICES - 1u) / shape.SLICES;
  let inner = select(shape.P, shape.Q, alongImages);
  var i = id.z * perSlice / inner;
  var j = id.z * perSlice % inner;
  for (var left = min(runs, (id.z + 1u) * perSlice) - min(runs, id.z * perSlice); left > 0u; left--) {
    let n = select(i, 0u, alongImages);
    let p = select(j, i, alongImages);
    let q = select(0u, j, alongImages);
    let h = p * shape.STRIDE - shape.PAD + r;
    let startX = ((n * shape.H + h) * shape.W + q * shape.STRIDE - shape.PAD + s) * C4 + column % C4;
    let startDy = ((n * shape.P + p) * shape.Q + q) * O4;
    // The steps of the run that this lane's tap takes part in, and those that any lane's does.
    let met = h < shape.H && (!alongImages || (q >= leftmost && q < rightmost));
    let begin = select(0u, leftmost, !alongImages);
    let end = select(0u, select(rightmost, run, alongImages), met);
    let lastStep = subgroupMax(end);
    var t = subgroupMin(select(run, begin, met));
    if (t < lastStep) {
      loop {
        let here = t + lane % STEP < run;
        let pixel = startDy + select(0u, t + lane % STEP, here) * stepDy;
        let a = load4(select(T4(), dy[pixel + groupA], here));
        let b = load4(select(T4(), dy[pixel + groupB], here));
        let in = vec4u(t) + vec4u(0u, 1u, 2u, 3u);
        let inside = (in >= vec4u(begin)) & (in < vec4u(end));
        let at = select(vec4u(0u), vec4u(startX) + in * stepX, inside);
        let v = mat4x4f(
          load4(select(T4(), x[at.x], inside.x)), load4(select(T4(), x[at.y], inside.y)),
          load4(select(T4(), x[at.z], inside.z)), load4(select(T4(), x[at.w], inside.w)));
        tile.sum0 = addProduct(tile.sum0, lanes0(a.x), v);
        tile.sum1 = addProduct(tile.sum1, lanes0(a.y), v);
        tile.sum2 = addProduct(tile.sum2, lanes0(a.z), v);
        tile.sum3 = addProduct(tile.sum3, lanes0(a.w), v);
        tile.sum16 = addProduct(tile.sum16, second(lanes0(a.x), lanes0(b.x)), v);
        tile.sum17 = addProduct(tile.sum17, second(lanes0(a.y), lanes0(b.y)), v);
        tile.sum18 = addProduct(tile.sum18, second(lanes0(a.z), lanes0(b.z)), v);
        tile.sum19 = addProduct(tile.sum19, second(lanes0(a.w), lanes0(b.w)), v);
        if (LANES >= 8u) {
          tile.sum4 = addProduct(tile.sum4, lanes4(a.x), v);
          tile.sum5 = addProduct(tile.sum5, lanes4(a.y), v);
          tile.sum6 = addProduct(tile.sum6, lanes4(a.z), v);
          tile.sum7 = addProduct(tile.sum7, lanes4(a.w), v);
          tile.sum20 = addProduct(tile.sum20, second(lanes4(a.x), lanes4(b.x)), v);
          tile.sum21 = addProduct(tile.sum21, second(lanes4(a.y), lanes4(b.y)), v);
          tile.sum22 = addProduct(tile.sum22, second(lanes4(a.z), lanes4(b.z)), v);
          tile.sum23 = addProduct(tile.sum23, second(lanes4(a.w), lanes4(b.w)), v);
        }
        if (LANES == 16u) {
          tile.sum8 = addProduct(tile.sum8, lanes8(a.x), v);
          tile.sum9 = addProduct(tile.sum9, lanes8(a.y), v);
          tile.sum10 = addProduct(tile.sum10, lanes8(a.z), v);
          tile.sum11 = addProduct(tile.sum11, lanes8(a.w), v);
          tile.sum12 = addProduct(tile.sum12, lanes12(a.x), v);
          tile.sum13 = addProduct(tile.sum13, lanes12(a.y), v);
          tile.sum14 = addProduct(tile.sum14, lanes12(a.z), v);
          tile.sum15 = addProduct(tile.sum15, lanes12(a.w), v);
          tile.sum24 = addProduct(tile.sum24, second(lanes8(a.x), lanes8(b.x)), v);
          tile.sum25 = addProduct(tile.sum25, second(lanes8(a.y), lanes8(b.y)), v);
          tile.sum26 = addProduct(tile.sum26, second(lanes8(a.z), lanes8(b.z)), v);
          tile.sum27 = addProduct(tile.sum27, second(lanes8(a.w), lanes8(b.w)), v);
          tile.sum28 = addProduct(tile.sum28, second(lanes12(a.x), lanes12(b.x)), v);
          tile.sum29 = addProduct(tile.sum29, second(lanes12(a.y), lanes12(b.y)), v);
          tile.sum30 = addProduct(tile.sum30, second(lanes12(a.z), lanes12(b.z)), v);
          tile.sum31 = addProduct(tile.sum31, second(lanes12(a.w), lanes12(b.w)), v);
        }
        continuing {
          t += STEP;
          break if t >= lastStep;
        }
      }
    }
    j++;
    i += select(0u, 1u, j == inner);
    j = select(j, 0u, j == inner);
  }

  let sums = sumsOf(tile);
  let o = id.y * TILE;
  var overflow = false;
  for (var i = 0u; i < min(TILE, shape.O - o); i++) {
    let sum = sums[numberOf(i)];
    if (id.x * SUBGROUP + lane < columns) {
      let value = masked(sum, column % C4, shape.C, 0.0);
      dw[(id.z * shape.O + o + i) * columns + column] = value;
      overflow |= isOverflow(value);
    }
  }
  checkOverflow(overflow);
}
