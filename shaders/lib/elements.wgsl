// An element-wise pass over VECTORS vectors of four. A workgroup has THREADS · EACH vectors side by side, EACH per thread, and
// neighbouring threads have neighbours. A thread computes all of its vectors before it stores the first, so that the loads of
// all are on their way at once: memory answers after some 0.7 µs, and a GPU fills it only if every thread asks for enough.
// The launch chooses THREADS and EACH by the number of vectors (src/gpu/chosen-grids.ts).
//
// A kernel declares what it stores, alias Element, and the functions element(i) -> Element and put(i, Element).
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let first = workgroupIndex(group) * (THREADS * EACH) + thread;
  if (EACH == 1u) {
    if (first < shape.VECTORS) { put(first, element(first)); }
    return;
  }
  var elements: array<Element, EACH>;
  for (var k = 0u; k < EACH; k++) { // @unroll
    // Without a branch, behind which loads would have to wait.
    elements[k] = element(min(first + k * THREADS, shape.VECTORS - 1u));
  }
  for (var k = 0u; k < EACH; k++) { // @unroll
    let i = first + k * THREADS;
    if (i < shape.VECTORS) { put(i, elements[k]); }
  }
}
