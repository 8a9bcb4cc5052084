// A sum of many numbers. An f32 that takes n like numbers one after another strays by up to n roundings; here sums of RUN
// numbers are summed in runs of RUN, and these again, so that RUN³ numbers stray by 3·RUN roundings at most.
//
// A kernel says of which type a sum is, alias Sum (vec4f, or mat2x4f for two at once), and what is added, term(i) -> Sum.
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
