// Replaces rectangles of a batch by noise, the same rectangles in all images but different noise in each:
//
//   x[n,p,q] = noise[(starts[n] + p·Q + q) mod SIZE]  where top ≤ p < bottom and left ≤ q < right of any of the areas
//
// x: [N,P,Q,3] storage type   areas: [AREAS] top, left, bottom, right; empty ones are 0
// starts: [N] u32             noise: [SIZE,3] f32, N(0,1)
// one thread per pixel; the grid's z is the image
// @const AREAS:u32 SIZE:u32
// @shape P Q
// @sample AREAS=2 SIZE=64 P=3 Q=4

@group(0) @binding(0) var<storage, read> areas: array<vec4u>;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> noise: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> x: array<T4>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= shape.Q || id.y >= shape.P) { return; }
  var erased = false;
  for (var i = 0u; i < AREAS; i++) {
    let area = areas[i];
    erased = erased || (all(id.yx >= area.xy) && all(id.yx < area.zw));
  }
  if (!erased) { return; }
  let pixel = id.y * shape.Q + id.x;
  x[id.z * shape.P * shape.Q + pixel] = store4(noise[(starts[id.z] + pixel) % SIZE]);
}
