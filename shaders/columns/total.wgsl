// Gradient of a parameter from the sums of the runs of columns/sums: total[c] = Σ over k of slices[k,c];
// foundInfinity = 1 where that is Inf or NaN
//
// slices: [SLICES,C]   total: [C] f32; C = 4·VECTORS   foundInfinity: [] u32
// Grid: one lane per vector of columns, whose rows share the runs.
// @use lib/rows lib/overflow
// @const LANES:u32 ROWS:u32
// @shape SLICES VECTORS
// @sample LANES=8 ROWS=4 SLICES=5 VECTORS=3

@group(0) @binding(0) var<storage, read> slices: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> total: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> foundInfinity: atomic<u32>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  let column = min(channel, shape.VECTORS - 1u);
  var own = vec4f();
  for (var k = thread / LANES; k < shape.SLICES; k += ROWS) {
    own += slices[k * shape.VECTORS + column];
  }
  let sum = sumRows(own, thread);
  if (thread < LANES && channel < shape.VECTORS) {
    total[channel] = sum;
    checkOverflow(isOverflow(sum));
  }
}
