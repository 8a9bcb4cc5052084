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

// Each thread has EACH vectors of a row of VECTORS vectors, C elements: vector k of thread `part` of a row is its number
// part + k·PARTS. Vectors k of all threads lie within the row, as most do: without masks, which would take as many registers as
// the vectors.
fn isWhole(k: u32) -> bool {
  return 4u * PARTS * (k + 1u) <= shape.C;
}

// Number of vector k in its row; of one beyond the row, that of the last.
fn vectorOf(k: u32, part: u32) -> u32 {
  if (isWhole(k)) { return part + k * PARTS; }
  return min(part + k * PARTS, shape.VECTORS - 1u);
}

// Value of vector k, with zeros beyond the row.
fn inRow(value: vec4f, k: u32, part: u32) -> vec4f {
  if (isWhole(k)) { return value; }
  return masked(value, part + k * PARTS, shape.C, 0.0);
}
