// Statistics, per thread, of its share of the numbers of a tensor, every STEP-th of them:
//
//   finite, others = count of finite numbers, of Inf and NaN   least, most = the smallest and the largest finite one
//   origin = the first finite one   sum = Σ (x - origin)   squares = Σ (x - origin)²
//
// x: [.., LAST] as stored, [.., STORED], COUNT numbers including padding, which is skipped; f32, or f16 with HALF, read
// as bits, which identify Inf and NaN   found: [threads]
// Grid: any number of workgroups; the CPU combines the results of their threads (src/gpu/statistics.ts).
// @const HALF:bool
// @shape COUNT STORED LAST
// @sample HALF=true COUNT=24 STORED=8 LAST=5

struct Found { finite: u32, others: u32, least: f32, most: f32, origin: f32, sum: f32, squares: f32, none: u32 }

const RUN = 256u;

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> found: array<Found>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  var mine = Found();
  // Sums of the last numbers, fewer than RUN: in one f32 the error of adding many equal numbers one by one would grow.
  var sum = 0.0;
  var squares = 0.0;
  for (var i = id.x; i < shape.COUNT; i += groups.x * 64u) {
    if (i % shape.STORED >= shape.LAST) { continue; }
    var bits = 0u;
    var exponent = 0x7f800000u;
    if (HALF) {
      bits = (x[i / 2u] >> (16u * (i % 2u))) & 0xffffu;
      exponent = 0x7c00u;
    } else {
      bits = x[i];
    }
    if ((bits & exponent) == exponent) {
      mine.others++;
      continue;
    }
    var value = 0.0;
    if (HALF) { value = unpack2x16float(bits).x; } else { value = bitcast<f32>(bits); }
    if (mine.finite == 0u) {
      mine.origin = value;
      mine.least = value;
      mine.most = value;
    }
    mine.finite++;
    mine.least = min(mine.least, value);
    mine.most = max(mine.most, value);
    let distance = value - mine.origin;
    sum += distance;
    squares += distance * distance;
    if (mine.finite % RUN == 0u) {
      mine.sum += sum;
      mine.squares += squares;
      sum = 0.0;
      squares = 0.0;
    }
  }
  mine.sum += sum;
  mine.squares += squares;
  found[id.x] = mine;
}
