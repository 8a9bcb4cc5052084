// Body of the matrix products along taps and channels: lib/forward-tiles or lib/backward-input-tiles selects the tile and the loads of a
// workgroup, lib/matrix-tiles divides the tile among its subgroups.

fn compute(id: vec3u, thread: u32, subgroup: u32, lane: u32) {
  let tile = tileOf(id);
  if (isEmpty(tile)) { return; }
  var loads = loadsOf(tile, thread);
  var sums: Sums;
  for (var k = 0u; k < tile.groups; k += STEP) {
    stageOperands(tile, &loads, thread, k);
    workgroupBarrier();
    addTiles(&sums, subgroup);
    workgroupBarrier();
  }
  for (var i = 0u; i < DOWN; i++) { // @unroll
    stageRow(&sums, i, subgroup);
    for (var e = lane; e < MATRIX_M * WIDTH; e += LANES) {
      let m = partM(subgroup) + i * MATRIX_M + e / WIDTH;
      storeResult(tile, m, partN(subgroup) / 4u + e % WIDTH, resultAt(subgroup, e));
    }
  }
}
