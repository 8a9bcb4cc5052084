// dx[n,h,w,c] = Σ dy[n,p,q,c] over the windows (p,q) whose first maximum, or last NaN, is at (h,w)
//
// dy: [N,P,Q,C]   dx: [N,H,W,C] storage type   places: [N,P,Q,C/4] u32, see forward.wgsl; C = 4·VECTORS
// Grid: one lane per vector of channels, whose rows share the columns of dx, each gathering from its windows; rows of dx
// along the second axis, images along the third.
// @const LANES:u32 ROWS:u32 STRIDE:u32 PAD:u32
// @shape H W P Q VECTORS WINDOW
// @sample LANES=8 ROWS=4 STRIDE=2 PAD=1 H=5 W=7 P=3 Q=4 VECTORS=3 WINDOW=3

@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read> places: array<u32>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  if (channel >= shape.VECTORS) { return; }
  let h = group.y + PAD;
  for (var column = thread / LANES; column < shape.W; column += ROWS) {
    let w = column + PAD;
    var sum = vec4f();
    // Position of the pixel in a window, and the window; one that would begin below zero wraps around.
    if (AT_ONCE > 1u) {
      // Windows per axis that a pixel may be in, without a branch, behind which the loads of other windows would have to wait.
      let reach = (shape.WINDOW + STRIDE - 1u) / STRIDE;
      for (var i = 0u; i < reach; i++) {
        for (var j = 0u; j < reach; j++) {
          let r = h % STRIDE + i * STRIDE;
          let s = w % STRIDE + j * STRIDE;
          let p = (h - r) / STRIDE;
          let q = (w - s) / STRIDE;
          let inside = r < shape.WINDOW && s < shape.WINDOW && p < shape.P && q < shape.Q;
          sum += gradientAt(group.z, min(p, shape.P - 1u), min(q, shape.Q - 1u), channel, select(NOWHERE, r * shape.WINDOW + s, inside));
        }
      }
    } else {
      for (var r = h % STRIDE; r < shape.WINDOW; r += STRIDE) {
        for (var s = w % STRIDE; s < shape.WINDOW; s += STRIDE) {
          let p = (h - r) / STRIDE;
          let q = (w - s) / STRIDE;
          if (p < shape.P && q < shape.Q) { sum += gradientAt(group.z, p, q, channel, r * shape.WINDOW + s); }
        }
      }
    }
    dx[((group.z * shape.H + group.y) * shape.W + column) * shape.VECTORS + channel] = store4(sum);
  }
}

// No place in a window: those have eight bits.
const NOWHERE = 256u;

// dy of a window where its maximum is at this place, otherwise 0.
fn gradientAt(n: u32, p: u32, q: u32, channel: u32, place: u32) -> vec4f {
  let at = ((n * shape.P + p) * shape.Q + q) * shape.VECTORS + channel;
  let maxima = (vec4u(places[at]) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u);
  return select(vec4f(), load4(dy[at]), maxima == vec4u(place));
}
