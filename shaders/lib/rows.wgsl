// A workgroup of LANES · ROWS threads, thread = row · LANES + lane: every lane has a column of its own, whose elements
// its rows take in turn. ROWS is a power of two.
//
// sumRows adds up what the rows of a lane have, and tells all of them. With one row it is nothing and no barrier is
// compiled: on software adapters a barrier costs more than the loop it would shorten.
var<workgroup> rowSums: array<vec4f, LANES * ROWS>;

fn sumRows(own: vec4f, thread: u32) -> vec4f {
  if (ROWS == 1u) { return own; }
  // The sums of an earlier call may still be being read.
  workgroupBarrier();
  rowSums[thread] = own;
  for (var half = ROWS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half * LANES) { rowSums[thread] += rowSums[thread + half * LANES]; }
  }
  workgroupBarrier();
  return rowSums[thread % LANES];
}
