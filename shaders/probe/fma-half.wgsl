// Measures multiplications and additions in f16, otherwise as probe/fma
//
//   sum[i] ← factor · sum[i] + addend,  8·ROUNDS times;  sums[thread] = Σ sum[i]
//
// numbers: [2] vec4f, factor and addend   sums: one vec4f per thread; 8·4·2·CHAINS·ROUNDS operations per thread
// Launched by src/testing/peaks.ts only.
// @enable f16
// @const CHAINS:u32
// @shape ROUNDS
// @sample CHAINS=3 ROUNDS=5

@group(0) @binding(0) var<storage, read> numbers: array<vec4f, 2>;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let factor = vec4h(numbers[0]);
  let addend = vec4h(numbers[1]);
  var sum: array<vec4h, CHAINS>;
  for (var i = 0u; i < CHAINS; i++) {
    sum[i] = vec4h((vec4f(f32(thread % 16u + 16u * i)) + vec4f(0, 64, 128, 192)) / 64);
  }
  for (var round = 0u; round < shape.ROUNDS; round++) {
    for (var step = 0u; step < 8u; step++) {
      for (var i = 0u; i < CHAINS; i++) { sum[i] = fma(factor, sum[i], addend); }
    }
  }
  var total = vec4f(sum[0]);
  for (var i = 1u; i < CHAINS; i++) { total += vec4f(sum[i]); }
  sums[workgroupIndex(group) * 64u + thread] = total;
}
