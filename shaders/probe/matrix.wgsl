// Measures how fast the matrix units of an adapter multiply: every subgroup adds the same product to DOWN × ACROSS sums
//
//   sums[i][j] ← sums[i][j] + left · right,  ROUNDS times, from ACROSS·i + j on, so that no two are the same
//
// f16 operands, f32 sums. numbers: left [MATRIX_M,MATRIX_K], then right [MATRIX_K,MATRIX_N], f16, four to an element
// sums: [subgroups,DOWN,ACROSS,MATRIX_M,MATRIX_N] f32; 2·M·N·K·DOWN·ACROSS·ROUNDS operations per subgroup, four subgroups per workgroup
// Launched by src/testing/peaks.ts only.
// @enable f16 subgroups subgroup_size_control chromium_experimental_subgroup_matrix
// @const LANES:u32 MATRIX_M:u32 MATRIX_N:u32 MATRIX_K:u32 DOWN:u32 ACROSS:u32
// @shape ROUNDS
// @sample LANES=32 MATRIX_M=16 MATRIX_N=16 MATRIX_K=16 DOWN=2 ACROSS=2 ROUNDS=3

@group(0) @binding(0) var<storage, read> numbers: array<vec2u>;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;

alias Left = subgroup_matrix_left<f16, MATRIX_K, MATRIX_M>;
alias Right = subgroup_matrix_right<f16, MATRIX_N, MATRIX_K>;
alias Sum = subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>;

@compute @workgroup_size(LANES * 4u) @subgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_id) subgroup: u32) {
  let left = subgroupMatrixLoad<Left, row_major>(&numbers, 0u, MATRIX_K / 4u);
  let right = subgroupMatrixLoad<Right, row_major>(&numbers, MATRIX_M * MATRIX_K / 4u, MATRIX_N / 4u);
  var sum: array<array<Sum, ACROSS>, DOWN>;
  for (var i = 0u; i < DOWN; i++) {
    for (var j = 0u; j < ACROSS; j++) { sum[i][j] = Sum(f32(ACROSS * i + j)); }
  }
  for (var round = 0u; round < shape.ROUNDS; round++) {
    for (var i = 0u; i < DOWN; i++) {
      for (var j = 0u; j < ACROSS; j++) { sum[i][j] = subgroupMatrixMultiplyAccumulate(left, right, sum[i][j]); }
    }
  }
  let area = MATRIX_M * MATRIX_N;
  let first = (workgroupIndex(group) * 4u + subgroup) * DOWN * ACROSS * area;
  for (var i = 0u; i < DOWN; i++) {
    for (var j = 0u; j < ACROSS; j++) {
      subgroupMatrixStore<row_major>(&sums, first + (i * ACROSS + j) * area, sum[i][j], MATRIX_N);
    }
  }
}
