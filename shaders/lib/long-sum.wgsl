// A sum of many numbers. Adding n equal numbers to one f32 accumulates up to n rounding errors; here sums of RUN numbers
// are summed in runs of RUN, and these again, so that RUN³ numbers accumulate 3·RUN rounding errors at most.
//
// A kernel declares the type of a sum, alias Sum (vec4f, or mat2x4f for two at once), and the terms, term(i) -> Sum.
const RUN = 64u;

// Sum of `count` terms, from that of `first` on in steps of `step`.
fn longSum(first: u32, step: u32, count: u32) -> Sum {
  var total = Sum();
  var i = first;
  for (var outer = 0u; outer < count; outer += RUN * RUN) {
    var middle = Sum();
    for (var inner = outer; inner < min(outer + RUN * RUN, count); inner += RUN) {
      var run = Sum();
      for (var k = inner; k < min(inner + RUN, count); k++) {
        run += term(i);
        i += step;
      }
      middle += run;
    }
    total += middle;
  }
  return total;
}

// Count of the numbers from `begin` to before `end` in steps of `step`.
fn countOf(begin: u32, end: u32, step: u32) -> u32 {
  return (max(begin, end) - begin + step - 1u) / step;
}
