// A workgroup of LANES · ROWS threads, thread = row · LANES + lane: every lane has a column of its own, whose elements
// its rows share. ROWS is a power of two.
//
// sumRows and maxRows combine the values of the rows of a lane and return the result to all of them. With one row they do
// nothing and no barrier is compiled: on software adapters a barrier costs more than the loop it would shorten.
var<workgroup> rowValues: array<vec4f, LANES * ROWS>;

fn sumRows(own: vec4f, thread: u32) -> vec4f {
  if (ROWS == 1u) { return own; }
  // Other threads may still read the values of an earlier call.
  workgroupBarrier();
  rowValues[thread] = own;
  for (var half = ROWS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half * LANES) { rowValues[thread] += rowValues[thread + half * LANES]; }
  }
  workgroupBarrier();
  return rowValues[thread % LANES];
}

fn maxRows(own: vec4f, thread: u32) -> vec4f {
  if (ROWS == 1u) { return own; }
  workgroupBarrier();
  rowValues[thread] = own;
  for (var half = ROWS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half * LANES) { rowValues[thread] = max(rowValues[thread], rowValues[thread + half * LANES]); }
  }
  workgroupBarrier();
  return rowValues[thread % LANES];
}
