// A matrix product by the threads of a workgroup: TILE_M × TILE_N of it in steps of TILE_K, which a kernel stages in
// workgroup memory. A thread sums THREAD_M × THREAD_N of it in registers: row threadM + i·THREADS_M is its sum [i], and
// of the columns, in fours, threadN + j·THREADS_N is [j]. lib/matrix-tiles does the same with matrix units.
//
// A kernel declares how operands of a step are loaded from there, in groups of four along K: leftAt(m, group), and
// rightAt(group, column), whose columns are those along K.
//
// The body is that of the products along taps and channels: lib/forward-tiles or lib/backward-input-tiles selects the tile
// and the loads of a workgroup.
//
// @use lib/register-threads

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

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  let tile = tileOf(id);
  if (isEmpty(tile)) { return; }
  var loads = loadsOf(tile, thread);
  var sums: Sums;
  for (var k = 0u; k < tile.groups; k += STEP) {
    stageOperands(loadOperands(tile, &loads, thread, k), &loads, thread);
    workgroupBarrier();
    addTiles(&sums, thread);
    workgroupBarrier();
  }
  for (var i = 0u; i < THREAD_M; i++) {
    for (var j = 0u; j < THREAD_N / 4u; j++) {
      storeResult(tile, thread / THREADS_N + i * THREADS_M, thread % THREADS_N + j * THREADS_N, sums[i][j]);
    }
  }
}
