// sums[OFFSET + g] = Σ (gradient / scale)² over the part of workgroup g in a chunk, four partial sums in a vector
//
// gradients: [BLOCKS·256] f32   scale: [] f32   sums: [all workgroups of all chunks, 4] f32
// Grid: any number of workgroups; together they go over the chunk in steps.
// @use lib/rows
// @const LANES:u32 ROWS:u32
// @shape BLOCKS OFFSET
// @sample LANES=1 ROWS=64 BLOCKS=3 OFFSET=0

@group(0) @binding(0) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(1) var<storage, read> scale: f32;
@group(0) @binding(2) var<storage, read_write> sums: array<vec4f>;

@compute @workgroup_size(LANES * ROWS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let unscale = 1.0 / scale;
  var sum = vec4f();
  for (var i = group.x * LANES * ROWS + thread; i < shape.BLOCKS * 64u; i += groups.x * LANES * ROWS) {
    let g = gradients[i] * unscale;
    sum += g * g;
  }
  sum = sumRows(sum, thread);
  if (thread == 0u) { sums[shape.OFFSET + group.x] = sum; }
}
