// Measures how fast an adapter multiplies and adds in f32: every thread has CHAINS independent sums
//
//   sum[i] ← factor · sum[i] + addend,  8·ROUNDS times;  sums[thread] = Σ sum[i]
//
// With factor −1 a sum alternates between two values, so that the result equals the input: element j of sum i
// begins as (thread mod 16 + 16·i + 64·j) / 64.
//
// numbers: [2] vec4f, factor and addend   sums: one vec4f per thread; 8·4·2·CHAINS·ROUNDS operations per thread
// Launched by src/testing/peaks.ts only.
// @const CHAINS:u32
// @shape ROUNDS
// @sample CHAINS=3 ROUNDS=5

@group(0) @binding(0) var<storage, read> numbers: array<vec4f, 2>;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let factor = numbers[0];
  let addend = numbers[1];
  var sum: array<vec4f, CHAINS>;
  for (var i = 0u; i < CHAINS; i++) {
    sum[i] = (vec4f(f32(thread % 16u + 16u * i)) + vec4f(0, 64, 128, 192)) / 64;
  }
  for (var round = 0u; round < shape.ROUNDS; round++) {
    for (var step = 0u; step < 8u; step++) {
      for (var i = 0u; i < CHAINS; i++) { sum[i] = fma(factor, sum[i], addend); }
    }
  }
  var total = sum[0];
  for (var i = 1u; i < CHAINS; i++) { total += sum[i]; }
  sums[workgroupIndex(group) * 64u + thread] = total;
}
