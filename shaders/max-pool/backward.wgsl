// dx[n,h,w,c] = Σ dy[n,p,q,c] over the windows (p,q) whose first maximum is at (h,w)
//
// dy: [N,P,Q,C]   dx: [N,H,W,C] storage type   places: [N,P,Q,C/4] u32, see forward.wgsl; C = 4·VECTORS
// Grid: one thread a vector of dx, which gathers from its windows, rows of dx along the second axis, images along the third.
// @const WINDOW:u32 STRIDE:u32 PAD:u32
// @shape H W P Q VECTORS
// @sample WINDOW=3 STRIDE=2 PAD=1 H=5 W=7 P=3 Q=4 VECTORS=3

@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read> places: array<u32>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= shape.W * shape.VECTORS) { return; }
  let h = id.y + PAD;
  let w = id.x / shape.VECTORS + PAD;
  let channel = id.x % shape.VECTORS;
  var sum = vec4f();
  for (var p = firstWindow(h); p <= min(h / STRIDE, shape.P - 1u); p++) {
    for (var q = firstWindow(w); q <= min(w / STRIDE, shape.Q - 1u); q++) {
      let i = ((id.z * shape.P + p) * shape.Q + q) * shape.VECTORS + channel;
      let place = (vec4u(places[i]) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u);
      let own = (h - p * STRIDE) * WINDOW + w - q * STRIDE;
      sum += select(vec4f(), load4(dy[i]), place == vec4u(own));
    }
  }
  dx[(id.z * shape.H + id.y) * shape.W * shape.VECTORS + id.x] = store4(sum);
}

// The first window that reaches a pixel, which is counted from the padding on.
fn firstWindow(pixel: u32) -> u32 {
  if (pixel < WINDOW) { return 0u; }
  return (pixel - WINDOW) / STRIDE + 1u;
}
