// Body of the matrix products along taps and channels: lib/forward-tiles or lib/backward-input-tiles selects the tile and the loads of a
// workgroup, lib/matrix-tiles divides the tile among its subgroups.
//
// A step is loaded into registers while the matrix units multiply the one before. At shapes of xresnet18, batch 256, that takes 0.82
// to 0.99 of the time (0.95 in the median of both passes and the tiles that the rule considers), and a product of 4096×4096 matrices
// 0.59 instead of 0.78 ms (H200). In the gradient of the weight it takes 1.6 times as long, as a multiprocessor then has registers for one
// workgroup instead of two; and two steps in turn in workgroup memory, with one barrier each, are slower in all passes.

fn compute(id: vec3u, thread: u32, subgroup: u32, lane: u32) {
  let tile = tileOf(id);
  if (isEmpty(tile)) { return; }
  var loads = loadsOf(tile, thread);
  var sums: Sums;
  var operands = loadOperands(tile, &loads, thread, 0u);
  for (var k = 0u; k < tile.groups; k += STEP) {
    stageOperands(operands, &loads, thread);
    workgroupBarrier();
    // On its way while the matrix units multiply. Beyond the last step it is zero.
    operands = loadOperands(tile, &loads, thread, k + STEP);
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
