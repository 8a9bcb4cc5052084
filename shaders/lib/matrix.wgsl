// Subgroup matrices: operands of type MatrixComponent, f16 or f32, and f32 sums, on the matrix units of a GPU.
// lib/matrix-emulated has the same names.
//
// Offsets and pitches count the elements of a tile, eight halves or four f32 each, as rows of a matrix must begin at multiples of
// 16 bytes (Vulkan, SPV_KHR_cooperative_matrix).
//
// @enable f16 subgroups subgroup_size_control chromium_experimental_subgroup_matrix
// @use lib/matrix-tiles

alias Left = subgroup_matrix_left<MatrixComponent, MATRIX_K, MATRIX_M>;
alias Right = subgroup_matrix_right<MatrixComponent, MATRIX_N, MATRIX_K>;
alias Sum = subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>;
alias Sums = array<array<Sum, ACROSS>, DOWN>;

// `Rows`: the tile lies row by row of the matrix, `Columns`: column by column.
fn leftRows(at: u32, pitch: u32) -> Left { return subgroupMatrixLoad<Left, row_major>(&leftTile, at, pitch); }
fn leftColumns(at: u32, pitch: u32) -> Left { return subgroupMatrixLoad<Left, col_major>(&leftTile, at, pitch); }
fn rightRows(at: u32, pitch: u32) -> Right { return subgroupMatrixLoad<Right, row_major>(&rightTile, at, pitch); }
fn rightColumns(at: u32, pitch: u32) -> Right { return subgroupMatrixLoad<Right, col_major>(&rightTile, at, pitch); }

fn addProduct(left: Left, right: Right, sum: Sum) -> Sum {
  return subgroupMatrixMultiplyAccumulate(left, right, sum);
}

fn store(sum: Sum, at: u32) {
  subgroupMatrixStore<row_major>(&leftTile, at, sum, WIDTH);
}

@compute @workgroup_size(THREADS) @subgroup_size(LANES)
fn main(
  @builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) lane: u32,
) {
  compute(id, thread, subgroup, lane);
}
