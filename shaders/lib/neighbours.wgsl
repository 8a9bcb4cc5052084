// A workgroup of PARTS · ROWS threads, in which the PARTS threads that share a row of a matrix are neighbours, so that what they
// load together lies side by side in memory. sumParts adds up two values of the threads of a row and returns the sums to all of
// them: after one exchange each thread adds for itself, which takes two barriers instead of one per halving.
var<workgroup> partValues: array<vec2f, PARTS * ROWS>;

fn sumParts(own: vec2f, thread: u32) -> vec2f {
  // Other threads may still read the values of an earlier call.
  workgroupBarrier();
  partValues[thread] = own;
  workgroupBarrier();
  var total = vec2f();
  for (var k = 0u; k < PARTS; k++) { // @unroll
    total += partValues[thread / PARTS * PARTS + k];
  }
  return total;
}
