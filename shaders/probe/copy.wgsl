// Measures how fast an adapter copies memory
//
//   y[i] = x[i]
//
// x, y: [VECTORS] vectors of 16 bytes; a workgroup of THREADS has THREADS·EACH of them side by side, EACH per thread
// Launched by src/testing/peaks.ts only.
// @const THREADS:u32 EACH:u32
// @shape VECTORS
// @sample THREADS=64 EACH=2 VECTORS=300

@group(0) @binding(0) var<storage, read> x: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4u>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let first = workgroupIndex(group) * (THREADS * EACH) + thread;
  for (var k = 0u; k < EACH; k++) {
    let i = first + k * THREADS;
    if (i < shape.VECTORS) { y[i] = x[i]; }
  }
}
