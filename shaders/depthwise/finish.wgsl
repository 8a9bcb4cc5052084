// Gradient of the filters of a depthwise convolution from its slices, in the layout of the filters:
//   dw[c,t] = Σ over k of  slices[k,t,c];  foundInfinity = 1 where that is Inf or NaN
//
// slices: [SLICES,TAPS,C] f32, C padded to a multiple of four   dw: [C,TAPS,1] f32, a tap in the first of four numbers
// foundInfinity: [] u32
//
// Grid: one lane per vector of four channels of a tap, whose rows share the slices.
// @use lib/overflow lib/rows
// @const LANES:u32 ROWS:u32
// @shape C TAPS SLICES
// @sample LANES=8 ROWS=4 C=10 TAPS=9 SLICES=3

@group(0) @binding(0) var<storage, read> slices: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> dw: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> foundInfinity: atomic<u32>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let vectors = (shape.C + 3u) / 4u;
  let count = shape.TAPS * vectors;
  let given = workgroupIndex(group) * LANES + thread % LANES;
  // No early return: every thread must reach the barriers.
  let i = min(given, count - 1u);
  var own = vec4f();
  for (var k = thread / LANES; k < shape.SLICES; k += ROWS) {
    own += slices[k * count + i];
  }
  let sum = sumRows(own, thread);
  if (thread >= LANES || given >= count) { return; }
  let tap = i / vectors;
  for (var j = 0u; j < 4u; j++) {
    let c = i % vectors * 4u + j;
    if (c < shape.C) { dw[c * shape.TAPS + tap] = vec4f(sum[j], 0.0, 0.0, 0.0); }
  }
  checkOverflow(isOverflow(sum));
}
