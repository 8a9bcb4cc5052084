// m[i,j] = max of x[i,j], x[i,j+1], x[i+1,j], x[i+1,j+1],  i < H − 1, j < W − 1
// y[p,q] = Σ k[a]·k[b]·m[2p − 1 + a, 2q − 1 + b],  k = [1 2 1] / 4, m = 0 outside
//
// for every image and channel; m is not stored. A NaN of x gives NaN in y: as max() may drop it, the largest bits without
// their sign are kept too, which are those of a NaN if there is one.
//
// x: [N,H,W,C]   y: [N,P,Q,C] storage type; C = 4·VECTORS, P = ⌊H/2⌋, Q = ⌊W/2⌋
// Grid: one lane per vector of channels, whose rows share the columns of y; rows of y along the second axis, images along
// the third. WINDOW is 2, the side of a maximum's window: a size, so that Mesa's software adapter keeps the loop (0.6 s of
// processor time to compile in place of 2.0, and 22.6 ms in place of 25.2 for [16,64,64,64] f16; vectors of 512 bits, a Xeon).
// In backward the same costs 170 ms in place of 124.
// @const LANES:u32 ROWS:u32
// @shape H W P Q VECTORS WINDOW
// @sample LANES=8 ROWS=4 H=5 W=7 P=2 Q=3 VECTORS=3 WINDOW=2

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channel = group.x * LANES + thread % LANES;
  if (channel >= shape.VECTORS) { return; }
  for (var q = thread / LANES; q < shape.Q; q += ROWS) {
    // The first and the last of the columns 2q − 1 to 2q + 2 may be missing, and with them the first and last m.
    let hasFirst = q > 0u;
    let hasLast = 2u * q + 2u < shape.W;
    let w = vec4u(select(0u, 2u * q - 1u, hasFirst), 2u * q, 2u * q + 1u, min(2u * q + 2u, shape.W - 1u));
    let columns = w * shape.VECTORS + channel;
    var sum = vec4f();
    var magnitude = vec4u();
    // The larger of neighbours in the row above.
    var first = vec4f();
    var middle = vec4f();
    var last = vec4f();
    for (var r = 0u; r < shape.WINDOW + 2u; r++) {
      // Below zero wraps around to far beyond the last pixel.
      let h = 2u * group.y + r - 1u;
      if (h < shape.H) {
        let row = (group.z * shape.H + h) * shape.W * shape.VECTORS;
        let left = load4(x[row + columns.y]);
        let right = load4(x[row + columns.z]);
        let before = load4(x[row + columns.x]);
        let after = load4(x[row + columns.w]);
        magnitude = max(max(magnitude, max(bitsOf(before), bitsOf(left))), max(bitsOf(right), bitsOf(after)));
        let firstHere = max(before, left);
        let middleHere = max(left, right);
        let lastHere = max(right, after);
        if (r > 0u && h > 0u) {
          let blurred = 2.0 * max(middle, middleHere)
            + select(vec4f(), max(first, firstHere), hasFirst)
            + select(vec4f(), max(last, lastHere), hasLast);
          sum += select(1.0, 2.0, r == 2u) * blurred;
        }
        first = firstHere;
        middle = middleHere;
        last = lastHere;
      }
    }
    y[((group.z * shape.P + group.y) * shape.Q + q) * shape.VECTORS + channel] =
      store4(select(sum / 16.0, bitcast<vec4f>(magnitude), magnitude > vec4u(0x7f800000u)));
  }
}

fn bitsOf(value: vec4f) -> vec4u { return bitcast<vec4u>(value) & vec4u(0x7fffffffu); }
