// A matrix product by the threads of a workgroup: TILE_M × TILE_N of it in steps of TILE_K, which a kernel brings to
// workgroup memory. A thread sums THREAD_M × THREAD_N of it in registers: row threadM + i·THREADS_M is its sum [i], and
// of the columns, in fours, threadN + j·THREADS_N is [j]. lib/matrix-tiles does the same with matrix units.
//
// A kernel says how the operands of a step lie there, in groups of four along K: leftAt(m, group), and
// rightAt(group, column), whose columns are those along K.

const THREADS_M = TILE_M / THREAD_M;
const THREADS_N = TILE_N / THREAD_N;
const THREADS = THREADS_M * THREADS_N;
// What a thread brings to workgroup memory at once.
alias Group = T4;
const GROUP = 4u;
alias Sums = array<array<vec4f, THREAD_N / 4u>, THREAD_M>;

const_assert TILE_M % THREAD_M == 0u && TILE_N % THREAD_N == 0u && THREAD_N % 4u == 0u;

fn addProduct(sum: vec4f, a: vec4f, w: mat4x4f) -> vec4f {
  return fma(vec4f(a.w), w[3], fma(vec4f(a.z), w[2], fma(vec4f(a.y), w[1], fma(vec4f(a.x), w[0], sum))));
}

// Adds a step to the sums of this thread.
fn addTiles(sums: ptr<function, Sums>, thread: u32) {
  for (var group = 0u; group < TILE_K / 4u; group++) {
    var w: array<mat4x4f, THREAD_N / 4u>;
    for (var j = 0u; j < THREAD_N / 4u; j++) {
      w[j] = rightAt(group, thread % THREADS_N + j * THREADS_N);
    }
    for (var i = 0u; i < THREAD_M; i++) {
      let a = leftAt(thread / THREADS_N + i * THREADS_M, group);
      for (var j = 0u; j < THREAD_N / 4u; j++) {
        (*sums)[i][j] = addProduct((*sums)[i][j], a, w[j]);
      }
    }
  }
}
