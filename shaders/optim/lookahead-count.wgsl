// Counts steps that were not skipped; due = 1 if this one was not, and is the last of K
//
// skipped, count, due: [] u32; one thread
// @shape K
// @sample K=6

@group(0) @binding(0) var<storage, read> skipped: u32;
@group(0) @binding(1) var<storage, read_write> count: u32;
@group(0) @binding(2) var<storage, read_write> due: u32;

@compute @workgroup_size(1)
fn main() {
  let steps = count + 1u - skipped;
  count = steps;
  due = select(0u, 1u, skipped == 0u && steps % shape.K == 0u);
}
