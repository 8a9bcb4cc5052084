// A sum of many numbers. Adding n equal numbers to one f32 accumulates up to n rounding errors; here sums of RUN numbers
// are summed in runs of RUN, and these again, so that RUN³ numbers accumulate 3·RUN rounding errors at most.
//
// On a GPU a thread has the loads of AT_ONCE terms on their way before it adds the first, in the same order.
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
      var k = inner;
      if (AT_ONCE > 1u) {
        for (; k + AT_ONCE <= min(inner + RUN, count); k += AT_ONCE) {
          var terms: array<Sum, AT_ONCE>;
          for (var t = 0u; t < AT_ONCE; t++) { // @unroll
            terms[t] = term(i + t * step);
          }
          for (var t = 0u; t < AT_ONCE; t++) { // @unroll
            run += terms[t];
          }
          i += AT_ONCE * step;
        }
      }
      for (; k < min(inner + RUN, count); k++) {
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
