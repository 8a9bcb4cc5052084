// dx[n,h,w,c] = Σ dy[n,p,q,c] / (pixels of the window that there are) over the windows (p,q) that (h,w) is in
//
// dy: [N,P,Q,C]   dx: [N,H,W,C] storage type; C = 4·VECTORS
// Grid: one thread a vector of dx, which gathers from its windows, rows of dx along the second axis, images along the third.
// @const WINDOW:u32 STRIDE:u32
// @shape H W P Q VECTORS
// @sample WINDOW=2 STRIDE=2 H=5 W=7 P=3 Q=4 VECTORS=3

@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= shape.W * shape.VECTORS) { return; }
  let h = id.y;
  let w = id.x / shape.VECTORS;
  let channel = id.x % shape.VECTORS;
  var sum = vec4f();
  for (var p = firstWindow(h); p < min(h / STRIDE + 1u, shape.P); p++) {
    for (var q = firstWindow(w); q < min(w / STRIDE + 1u, shape.Q); q++) {
      // Windows may be shorter than their step; a pixel between two belongs to neither.
      if (h - p * STRIDE < WINDOW && w - q * STRIDE < WINDOW) {
        let count = min(WINDOW, shape.H - p * STRIDE) * min(WINDOW, shape.W - q * STRIDE);
        sum += load4(dy[((id.z * shape.P + p) * shape.Q + q) * shape.VECTORS + channel]) / f32(count);
      }
    }
  }
  dx[(id.z * shape.H + id.y) * shape.W * shape.VECTORS + id.x] = store4(sum);
}

// The first window that may reach a pixel.
fn firstWindow(pixel: u32) -> u32 {
  if (pixel < WINDOW) { return 0u; }
  return (pixel - WINDOW) / STRIDE + 1u;
}
