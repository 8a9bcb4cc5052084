// Threads of a workgroup that share a tile of TILE_M × TILE_N of a matrix product, THREAD_M × THREAD_N for each, and the
// sums that a thread has in registers.

const THREADS_M = TILE_M / THREAD_M;
const THREADS_N = TILE_N / THREAD_N;
const THREADS = THREADS_M * THREADS_N;
// Values that a thread loads at once.
alias Group = T4;
const GROUP = 4u;
alias Sums = array<array<vec4f, THREAD_N / 4u>, THREAD_M>;

const_assert TILE_M % THREAD_M == 0u && TILE_N % THREAD_N == 0u && THREAD_N % 4u == 0u;
