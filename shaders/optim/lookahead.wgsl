// If due, moves the slow weights s towards the fast ones p, and sets p to s; otherwise changes nothing
//
//   s ← s + ALPHA·(p − s),  p ← s
//
// With F16_COPIES the f16 copy of p is written in the same pass.
//
// values (p), slow (s): [BLOCKS·256] f32   f16Copies: the same in storage type   due: [] u32
// @use lib/blocks
// @const ALPHA:f32 F16_COPIES:bool
// @shape BLOCKS TURNS
// @sample ALPHA=0.5 F16_COPIES=true BLOCKS=3 TURNS=4

@group(0) @binding(0) var<storage, read> due: u32;
@group(0) @binding(1) var<storage, read_write> values: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> slow: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> f16Copies: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let block = blockOf(group, thread);
  if (block >= shape.BLOCKS || due == 0u) { return; }
  for (var turn = 0u; turn < shape.TURNS; turn++) { meet(vectorOf(block, thread, turn)); }
}

fn meet(i: u32) {
  let s = slow[i] + ALPHA * (values[i] - slow[i]);
  slow[i] = s;
  values[i] = s;
  if (F16_COPIES) { f16Copies[i] = store4(s); }
}
