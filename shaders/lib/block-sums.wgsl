// Sums over the rows of a workgroup of LANES · ROWS threads, S of them at once: every thread calls `share` for each, then a barrier
// follows, and any thread may call `sumShared`.
var<workgroup> rowSums: array<vec4f, S * LANES * ROWS>;

fn share(s: u32, thread: u32, own: vec4f) {
  rowSums[s * (LANES * ROWS) + thread] = own;
}

// Sum of the values number s of the threads of a lane.
fn sumShared(s: u32, lane: u32) -> vec4f {
  var sum = vec4f();
  for (var row = 0u; row < ROWS; row++) {
    sum += rowSums[s * (LANES * ROWS) + row * LANES + lane];
  }
  return sum;
}
