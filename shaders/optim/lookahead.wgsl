// Where it is due, the slow weights s go towards the fast ones p, and these to where they are; else nothing changes
//
//   s ← s + ALPHA·(p − s),  p ← s
//
// With HALF the f16 copy of p is written in the same pass.
//
// values (p), slow (s): [BLOCKS·128] f32   halves: the same in storage type   due: [] u32
// Grid: a workgroup four blocks, a thread two vectors of four.
// @const ALPHA:f32 HALF:bool
// @shape BLOCKS
// @sample ALPHA=0.5 HALF=true BLOCKS=3

@group(0) @binding(0) var<storage, read> due: u32;
@group(0) @binding(1) var<storage, read_write> values: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> slow: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> halves: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let block = workgroupIndex(group) * 4u + thread / 16u;
  if (block >= shape.BLOCKS || due == 0u) { return; }
  let i = block * 32u + thread % 16u;
  meet(i);
  meet(i + 16u);
}

fn meet(i: u32) {
  let s = slow[i] + ALPHA * (values[i] - slow[i]);
  slow[i] = s;
  values[i] = s;
  if (HALF) { halves[i] = store4(s); }
}
