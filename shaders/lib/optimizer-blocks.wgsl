// An optimizer's step over a chunk of the parameters, which lie behind one another as flat numbers: in blocks of 128, each
// of one parameter, its owner. A workgroup takes four blocks, a thread two vectors of four.
//
// A kernel binds owners [BLOCKS] u32 and factors [P] Factors, and says with update(i, factor) what becomes of vector i.
// Where a parameter is not to change, unscale is 0.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let block = workgroupIndex(group) * 4u + thread / 16u;
  if (block >= shape.BLOCKS) { return; }
  let factor = factors[owners[block]];
  if (factor.unscale == 0.0) { return; }
  let i = block * 32u + thread % 16u;
  update(i, factor);
  update(i + 16u, factor);
}
