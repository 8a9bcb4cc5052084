// lib/matrix in plain WGSL, so that kernels for matrix units can be tested without them. Slow.
//
// An operand is read from its tile when it is multiplied; the lanes share the elements of a sum.
//
// @use lib/matrix-tiles

// Element [i,j] is number first + i·row + j·column of the tile, of which a vector has EACH.
const EACH = GROUP / WORDS;
struct Place { first: u32, row: u32, column: u32 }

alias Left = Place;
alias Right = Place;
// A lane has SHARE elements of one column, every LANES / MATRIX_N rows.
const SHARE = MATRIX_M * MATRIX_N / LANES;
alias Sum = array<f32, SHARE>;
alias Sums = array<array<Sum, ACROSS>, DOWN>;

const_assert LANES % MATRIX_N == 0u && SHARE * LANES == MATRIX_M * MATRIX_N;

var<private> thisLane: u32;
// A number above the turns of any loop, which no compiler can predict, so that none unrolls a loop to `counted(turns)`, the form that
// src/gpu/unroll.ts gives to marked loops. Unrolled, these kernels take Mesa's software adapter twice as long to compile.
var<private> unknown: u32;
fn counted(turns: u32) -> u32 { return min(turns, unknown); }

fn leftRows(at: u32, pitch: u32) -> Left { return Place(EACH * at, EACH * pitch, 1u); }
fn leftColumns(at: u32, pitch: u32) -> Left { return Place(EACH * at, 1u, EACH * pitch); }
fn rightRows(at: u32, pitch: u32) -> Right { return Place(EACH * at, EACH * pitch, 1u); }
fn rightColumns(at: u32, pitch: u32) -> Right { return Place(EACH * at, 1u, EACH * pitch); }

fn numberOf(vector: vec4u, index: u32) -> f32 {
  if (MATRIX_F32) { return bitcast<f32>(vector[index]); }
  return unpack2x16float(vector[index / 2u])[index % 2u];
}

fn rowOf(i: u32) -> u32 { return thisLane / MATRIX_N + i * (LANES / MATRIX_N); }

fn addProduct(left: Left, right: Right, sum: Sum) -> Sum {
  var total = sum;
  for (var k = 0u; k < counted(MATRIX_K); k++) {
    let b = right.first + k * right.row + thisLane % MATRIX_N * right.column;
    let value = numberOf(rightTile[b / EACH], b % EACH);
    for (var i = 0u; i < counted(SHARE); i++) {
      let a = left.first + rowOf(i) * left.row + k * left.column;
      total[i] += numberOf(leftTile[a / EACH], a % EACH) * value;
    }
  }
  return total;
}

fn store(sum: Sum, at: u32) {
  let column = thisLane % MATRIX_N;
  for (var i = 0u; i < counted(SHARE); i++) {
    leftTile[at + rowOf(i) * WIDTH + column / 4u][column % 4u] = bitcast<u32>(sum[i]);
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  thisLane = thread % LANES;
  unknown = ~thread;
  compute(id, thread, thread / LANES, thread % LANES);
}
