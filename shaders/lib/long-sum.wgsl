// A sum of many numbers. Adding n equal numbers to one f32 accumulates up to n rounding errors; here sums of RUN numbers
// are summed in runs of RUN, and these again, so that RUN³ numbers accumulate 3·RUN rounding errors at most.
//
// On a GPU a thread has the loads of AT_ONCE terms on their way before it adds the first, in the same order, and keeps what it has
// loaded rather than the terms, which are more numbers; and sums of runs that are never formed take no registers.
//
// A kernel declares the type of a sum, alias Sum (vec4f, or mat2x4f for two at once), what a thread loads for term i, loaded(i) ->
// Loaded, and the term made of it, term(loaded) -> Sum.
const RUN = 64u;

// Sum of `count` terms, from that of `first` on in steps of `step`; `most` is a bound of `count` that is the same for all threads.
fn longSum(first: u32, step: u32, count: u32, most: u32) -> Sum {
  // Where sizes are constants, which AT_ONCE tells, only the loops that are needed remain.
  if (AT_ONCE > 1u && most <= RUN) { return runSum(first, step, count); }
  var total = Sum();
  for (var outer = 0u; outer < count; outer += RUN * RUN) {
    var middle = Sum();
    let end = min(outer + RUN * RUN, count);
    for (var k = outer; k < end; k += RUN) { middle += runSum(first + k * step, step, min(RUN, end - k)); }
    if (AT_ONCE > 1u && most <= RUN * RUN) { return middle; }
    total += middle;
  }
  return total;
}

fn runSum(first: u32, step: u32, count: u32) -> Sum {
  var total = Sum();
  var i = first;
  var k = 0u;
  for (; AT_ONCE > 1u && k + AT_ONCE <= count; k += AT_ONCE) {
    var kept: array<Loaded, AT_ONCE>;
    for (var t = 0u; t < AT_ONCE; t++) { // @unroll
      kept[t] = loaded(i + t * step);
    }
    for (var t = 0u; t < AT_ONCE; t++) { // @unroll
      total += term(kept[t]);
    }
    i += AT_ONCE * step;
  }
  for (; k < count; k++) {
    total += term(loaded(i));
    i += step;
  }
  return total;
}

// Count of the numbers from `begin` to before `end` in steps of `step`.
fn countOf(begin: u32, end: u32, step: u32) -> u32 {
  return (max(begin, end) - begin + step - 1u) / step;
}
