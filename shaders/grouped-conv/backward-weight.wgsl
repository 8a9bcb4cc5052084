// Convolution in groups, gradient of the weight, in slices that conv2d/reduce-slices adds up:
//   slices[k,o,r,s,c] = Σ over the pixels n, p, q of slice k of  dy[n,p,q,o] · x[n, p·STRIDE - PAD + r·DILATION, q·STRIDE - PAD + s·DILATION, g·C/GROUPS + c]
// with g the group of o. A slice has RUN rows of dy, of all images.
//
// x: [N,H,W,C]   dy: [N,P,Q,O] storage type   slices: [SLICES,O,R,S,C/GROUPS] f32. ALIGNED as in grouped-conv/forward.
//
// Grid: one lane per four filters, tap and vector of four of their channels, whose rows share the rows of a slice; slices
// along the second axis. A dispatch has too few workgroups along the first for 3×3 filters of a thousand channels: lanes go on
// along the third.
// @use lib/rows lib/mask
// @const LANES:u32 ROWS:u32 ALIGNED:bool
// @shape N H W C P Q O R S STRIDE PAD DILATION GROUPS RUN
// @sample LANES=8 ROWS=4 ALIGNED=true N=3 H=5 W=6 C=8 P=3 Q=3 O=16 R=3 S=3 STRIDE=2 PAD=1 DILATION=1 GROUPS=2 RUN=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> slices: array<vec4f>;

// Products of four filters' slopes and four channels of theirs from `first` on, in the pixel at `place`; one column per filter.
fn products(given: vec4f, place: u32, out: u32, v: u32, first: u32) -> mat4x4f {
  if (ALIGNED) {
    let inputs = load4(x[place + first]);
    return mat4x4f(inputs * given.x, inputs * given.y, inputs * given.z, inputs * given.w);
  }
  let channels = shape.C / shape.GROUPS;
  var made = mat4x4f();
  for (var j = 0u; j < 4u; j++) {
    let begin = min(out * 4u + j, shape.O - 1u) / (shape.O / shape.GROUPS) * channels;
    for (var k = 0u; k < 4u; k++) {
      let c = begin + v * 4u + k;
      if (v * 4u + k < channels) { made[j][k] = given[j] * load4(x[place + c / 4u])[c % 4u]; }
    }
  }
  return made;
}

// Rows that are summed by themselves, so that few numbers are added to one sum (lib/long-sum).
const BLOCK = 2u;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let channels = shape.C / shape.GROUPS;
  let depth = (channels + 3u) / 4u;
  let vectors = (shape.C + 3u) / 4u;
  let outVectors = (shape.O + 3u) / 4u;
  let count = outVectors * shape.R * shape.S * depth;
  let begin = workgroupIndex(group.xzy) * LANES;
  if (begin >= count) { return; }
  let id = begin + thread % LANES;
  // No early return: every thread must reach the barriers.
  let column = min(id, count - 1u);
  let v = column % depth;
  let s = column / depth % shape.S;
  let r = column / (depth * shape.S) % shape.R;
  let out = column / (depth * shape.S * shape.R);
  let first = out * 4u / (shape.O / shape.GROUPS) * channels / 4u + v;
  let end = min((group.y + 1u) * shape.RUN, shape.N * shape.P);
  var totals = mat4x4f();
  for (var block = group.y * shape.RUN + thread / LANES; block < end; block += BLOCK * ROWS) {
    var sums = mat4x4f();
    for (var row = block; row < min(block + BLOCK * ROWS, end); row += ROWS) {
      // A row or column before the image wraps around to a large number.
      let h = row % shape.P * shape.STRIDE + r * shape.DILATION - shape.PAD;
      if (h < shape.H) {
        let line = (row / shape.P * shape.H + h) * shape.W;
        for (var q = 0u; q < shape.Q; q++) {
          let w = q * shape.STRIDE + s * shape.DILATION - shape.PAD;
          if (w < shape.W) {
            let given = load4(dy[(row * shape.Q + q) * outVectors + out]);
            sums += products(given, (line + w) * vectors, out, v, first);
          }
        }
      }
    }
    totals += sums;
  }
  for (var j = 0u; j < 4u; j++) {
    let total = sumRows(totals[j], thread);
    let o = out * 4u + j;
    if (thread < LANES && id < count && o < shape.O) {
      let place = (((group.y * shape.O + o) * shape.R + r) * shape.S + s) * depth + v;
      slices[place] = masked(total, v, channels, 0.0);
    }
  }
}
