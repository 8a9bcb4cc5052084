// dm[i,j] = Σ k[a]·k[b]·dy[p,q]  over the p, q, a, b with i = 2p − 1 + a, j = 2q − 1 + b,  k = [1 2 1] / 4
// dx[h,w] = Σ dm[i,j]  over the four windows of 2×2 that (h,w) is in, where it is the first maximum, row by row, or the last NaN
//
// for every image and channel; see forward.wgsl. The maxima and their places are not stored, but computed again from nine values.
//
// x, dx: [N,H,W,C]   dy: [N,P,Q,C] storage type; C = 4·VECTORS
// Grid: one lane per vector of channels, whose rows share the columns of dx; rows of dx along the second axis, images along
// the third.
// @use lib/nan
// @const LANES:u32 ROWS:u32
// @shape H W P Q VECTORS
// @sample LANES=8 ROWS=4 H=5 W=7 P=2 Q=3 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  if (channel >= shape.VECTORS) { return; }
  let n = group.z;
  let h = group.y;
  for (var w = thread / LANES; w < shape.W; w += ROWS) {
    let own = pixel(n, h, w, channel);
    var sum = vec4f();
    for (var a = 0u; a < 2u; a++) {
      for (var b = 0u; b < 2u; b++) {
        // Below zero wraps around to far beyond the last window.
        let i = h + a - 1u;
        let j = w + b - 1u;
        if (i < shape.H - 1u && j < shape.W - 1u) {
          let otherRow = h + 2u * a - 1u;
          let otherColumn = w + 2u * b - 1u;
          let first = beats(own, pixel(n, h, otherColumn, channel), b == 0u)
            & beats(own, pixel(n, otherRow, w, channel), a == 0u)
            & beats(own, pixel(n, otherRow, otherColumn, channel), a == 0u);
          sum += select(vec4f(), gradientOfMaximum(n, i, j, channel), first);
        }
      }
    }
    dx[((n * shape.H + h) * shape.W + w) * shape.VECTORS + channel] = store4(sum);
  }
}

fn pixel(n: u32, h: u32, w: u32, channel: u32) -> vec4f {
  return load4(x[((n * shape.H + h) * shape.W + w) * shape.VECTORS + channel]);
}

// The first of several equal values is the maximum.
fn beats(own: vec4f, other: vec4f, otherIsBefore: bool) -> vec4<bool> {
  if (otherIsBefore) { return exceeds(own, other); }
  return !exceeds(other, own);
}

// Along each axis an even m is the middle of one output; an odd one is the end of one and the beginning of the next.
fn gradientOfMaximum(n: u32, i: u32, j: u32, channel: u32) -> vec4f {
  var sum = vec4f();
  for (var p = i / 2u; p <= min((i + 1u) / 2u, shape.P - 1u); p++) {
    for (var q = j / 2u; q <= min((j + 1u) / 2u, shape.Q - 1u); q++) {
      sum += load4(dy[((n * shape.P + p) * shape.Q + q) * shape.VECTORS + channel]);
    }
  }
  return sum * f32((2u - i % 2u) * (2u - j % 2u)) / 16.0;
}
