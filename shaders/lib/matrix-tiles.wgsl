// A matrix product by the subgroups of a workgroup: TILE_M × TILE_N of it in steps of TILE_K, which a kernel stages in
// leftTile and rightTile in workgroup memory. SUBGROUPS_M × SUBGROUPS_N subgroups of LANES threads divide the tile;
// each sums its part in DOWN × ACROSS matrices of MATRIX_M × MATRIX_N, f32.
//
// A kernel declares leftTile and rightTile as arrays of Group, the first of RESULTS elements at least, declares leftAt(m, k)
// and rightAt(k, n), which load from them, and has its body in `compute`. lib/matrix or lib/matrix-emulated declares the matrices and `main`.

const SUBGROUPS = SUBGROUPS_M * SUBGROUPS_N;
const THREADS = SUBGROUPS * LANES;
// Group of values that a thread loads and stages at once: 16 bytes, the most that it can load. Against 8, AMD's compiler for RDNA3
// (Mesa 25.0.7) needs 0.8 of the instructions and expects 0.95 (forward) and 0.86 (backward) of a workgroup's latency, in
// the median over tiles and seven shapes of the networks.
alias Group = vec4u;
const GROUP = 8u;
// Vectors of a staged group: its halves fill one, as f32 two. The second form is for units that multiply f32 only.
const WORDS = select(1u, 2u, MATRIX_F32);
const DOWN = TILE_M / (SUBGROUPS_M * MATRIX_M);
const ACROSS = TILE_N / (SUBGROUPS_N * MATRIX_N);
// Vectors of four across the part of one subgroup.
const WIDTH = ACROSS * MATRIX_N / 4u;

const_assert DOWN * SUBGROUPS_M * MATRIX_M == TILE_M && ACROSS * SUBGROUPS_N * MATRIX_N == TILE_N;
const_assert TILE_K % MATRIX_K == 0u && MATRIX_N % 4u == 0u && (SUBGROUPS_N & (SUBGROUPS_N - 1u)) == 0u;

// Vector `word` of a group as it is staged.
fn staged(value: Group, word: u32) -> vec4u {
  if (!MATRIX_F32) { return value; }
  let halves = select(value.xy, value.zw, word == 1u);
  return bitcast<vec4u>(vec4f(unpack2x16float(halves.x), unpack2x16float(halves.y)));
}

// Number of vec4f of one staged row of matrices per subgroup, in leftTile, which is no longer needed then.
const RESULTS = SUBGROUPS * MATRIX_M * WIDTH;

// First row and column of the part of a subgroup in the tile.
fn partM(subgroup: u32) -> u32 { return subgroup / SUBGROUPS_N * (TILE_M / SUBGROUPS_M); }
// A mask, not a remainder, after which AMD's compiler has no bound and folds no offset into a load.
fn partN(subgroup: u32) -> u32 { return (subgroup & (SUBGROUPS_N - 1u)) * (TILE_N / SUBGROUPS_N); }

// Adds leftTile · rightTile to the sums of this subgroup.
fn addTiles(sums: ptr<function, Sums>, subgroup: u32) {
  for (var k = 0u; k < TILE_K; k += MATRIX_K) { // @unroll
    var right: array<Right, ACROSS>;
    for (var j = 0u; j < ACROSS; j++) { // @unroll
      right[j] = rightAt(k, partN(subgroup) + j * MATRIX_N);
    }
    for (var i = 0u; i < DOWN; i++) { // @unroll
      let left = leftAt(partM(subgroup) + i * MATRIX_M, k);
      for (var j = 0u; j < ACROSS; j++) { // @unroll
        (*sums)[i][j] = addProduct(left, right[j], (*sums)[i][j]);
      }
    }
  }
}

// Stores row i of this subgroup's matrices in its part of leftTile, between barriers.
fn stageRow(sums: ptr<function, Sums>, i: u32, subgroup: u32) {
  workgroupBarrier();
  for (var j = 0u; j < ACROSS; j++) { // @unroll
    store((*sums)[i][j], subgroup * (MATRIX_M * WIDTH) + j * (MATRIX_N / 4u));
  }
  workgroupBarrier();
}

// Element e of the row that stageRow has staged.
fn resultAt(subgroup: u32, e: u32) -> vec4f { return bitcast<vec4f>(leftTile[subgroup * (MATRIX_M * WIDTH) + e]); }
