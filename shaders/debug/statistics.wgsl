// What every thread finds among its share of a tensor's numbers, each STEP-th of them:
//
//   finite, others = how many are finite, how many are not   least, most = the smallest and the largest finite one
//   origin = the first finite one   sum = Σ (x - origin)   squares = Σ (x - origin)²
//
// x: [.., LAST] as stored, [.., STORED], COUNT numbers with the padding, which is left out; f32, or f16 where HALF, read
// as bits, which tell what is not finite   found: [threads]
// Grid: any number of workgroups; the CPU puts together what their threads have found (src/gpu/statistics.ts).
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
  // Sums of the last numbers, fewer than RUN: one f32 would stray where many like numbers are added one by one.
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
