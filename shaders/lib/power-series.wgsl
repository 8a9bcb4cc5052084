// The terms q^j, j from 0 to length − 1, q = 1 − dampening: Σ q^j and Σ (2j + 1)·q^j.
//
// 1 − q^t is dampening·sum, and RAdam's r is weighted / sum. Their formulas subtract numbers that are nearly equal if q
// is nearly 1: 1 − q^t would be off by 7e-4 with q = 0.99999, and r − 4 left with three digits. Here all
// summands are positive.
struct Series {
  length: f32,
  sum: f32,
  weighted: f32,
  // q^length
  power: f32,
}

fn series(dampening: f32, length: u32) -> Series {
  var result = Series(0.0, 0.0, 0.0, 1.0);
  var doubled = Series(1.0, 1.0, 1.0, 1.0 - dampening);
  for (var left = length; left > 0u; left >>= 1u) {
    if ((left & 1u) != 0u) { result = joined(result, doubled, dampening); }
    doubled = joined(doubled, doubled, dampening);
  }
  return result;
}

// The terms of b behind those of a, where each is q^a.length times as large and its j larger by a.length.
fn joined(a: Series, b: Series, dampening: f32) -> Series {
  let sum = a.sum + a.power * b.sum;
  // A power near 1 is computed by way of its distance from 1, since multiplying two would double its error every time.
  // That leaves one near 0 with the rounding of 1, which a.length below would multiply: it is a product.
  let fromSum = 1.0 - dampening * sum;
  let power = select(a.power * b.power, fromSum, fromSum > 0.5);
  return Series(
    a.length + b.length,
    sum,
    a.weighted + a.power * (b.weighted + 2.0 * a.length * b.sum),
    power,
  );
}
