// Sum of slices: total[i] = Σ over k of  slices[k,i],  COUNT values of vec4f in each of SLICES slices, in f32 and in
// the order of the slices, so that the result is the same every time.
// foundInfinity [] u32 becomes 1 where a sum is Inf or NaN.
//
// Grid: a count, ceil(COUNT / 64).
//
// @use lib/overflow
// @shape COUNT SLICES
// @sample COUNT=5 SLICES=3

@group(0) @binding(0) var<storage, read> slices: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> total: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> foundInfinity: atomic<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = workgroupIndex(id) * 64u + local;
  if (i >= shape.COUNT) { return; }
  var sum = slices[i];
  for (var k = 1u; k < shape.SLICES; k++) {
    sum += slices[k * shape.COUNT + i];
  }
  total[i] = sum;
  checkOverflow(isOverflow(sum));
}
