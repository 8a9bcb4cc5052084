// Filters of the channels of a workgroup of LANES · ROWS threads in workgroup memory, R·S taps of EACH vectors of four channels per
// lane. A kernel binds weight: [C,R,S,1] in storage type, a tap in the first of four numbers.
var<workgroup> filters: array<vec4f, R * S * EACH * LANES>;

// Fills the filters of the lanes from chunk `first` on, from their end if FLIPPED; all threads call it, and a barrier follows.
fn stageFilters(first: u32, thread: u32, flipped: bool) {
  for (var i = thread; i < R * S * EACH * LANES; i += LANES * ROWS) {
    let tap = i / (EACH * LANES);
    let vector = (first + i % LANES) * EACH + i / LANES % EACH;
    var four = vec4f();
    for (var j = 0u; j < 4u; j++) { // @unroll
      let c = min(vector * 4u + j, shape.C - 1u);
      let value = load4(weight[c * (R * S) + select(tap, R * S - 1u - tap, flipped)]).x;
      four[j] = select(0.0, value, vector * 4u + j < shape.C);
    }
    filters[i] = four;
  }
}

fn filterAt(tap: u32, v: u32, lane: u32) -> vec4f {
  return filters[(tap * EACH + v) * LANES + lane];
}
