// Input of a network from 8-bit images, with each output pixel computed from the source, without intermediate images.
//
//   pixel(y,x)    = bytes / 255; with SHRINK the mean of a bin of the source reduced to geometry.source
//   warped(i,j)   = with WARP pixel at M[n]·(j,i,1), both counted from the centre of their image, bilinear; beyond the border
//                   with PAD = 0 reflected at the centres of the border pixels, 1 the border repeated, 2 black
//   resized(p,q)  = bilinear, corners aligned, between the bins of the crop of warped reduced to geometry.reduced
//   lit           = with LIGHTING sigmoid(z), z = (logit(resized) + logit(brightness[n])) · contrast[n];
//                   with SATURATION z is mixed with its grey: saturation[n] · z + (1 - saturation[n]) · luma · z
//   turned        = with HUE the hue of lit (as in HSV) turned by hue[n]
//   out[n,p,q]    = (turned - normalization[0]) · normalization[1]
//
// source: [N,H,W] u32, a pixel's bytes R G B A from the lowest   items: [N] Item   geometry: Geometry
// normalization: [2,3] f32, mean and 1 / standard deviation      out: [N,P,Q,3] storage type
//
// One pass is faster: an image is averaged down to twice the output at most (fastai vision/augment.py, _grid_sample), so a
// bin has one reader, and otherwise a warped pixel has few; an intermediate image, four f32 per pixel, costs more to write
// and read than the warp to compute. 64 images of 224 px on Mesa llvmpipe, milliseconds of CPU, against a warp
// and a resize in two launches: 45 against 97 to 64 px, 74 against 114 to 128 px, 223 against 176 to 224 px.
// @const WARP:bool PAD:u32 SHRINK:bool LIGHTING:bool SATURATION:bool HUE:bool
// @shape H W P Q
// @sample WARP=true PAD=2 SHRINK=true LIGHTING=true SATURATION=true HUE=true H=5 W=6 P=3 Q=4

struct Item {
  // Rows of M, homogeneous: column and row in the source, then the divisor of both. Counting from the centre halves the
  // rounding error of a position in f32.
  column: vec3f,
  // (1 - brightness) / brightness
  darkness: f32,
  row: vec3f,
  contrast: f32,
  divisor: vec3f,
  saturation: f32,
  // In fractions of the circle.
  hue: f32,
}

// Heights before widths.
struct Geometry {
  source: vec2u,
  warped: vec2u,
  corner: vec2u,
  crop: vec2u,
  reduced: vec2u,
}

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read> items: array<Item>;
@group(0) @binding(2) var<storage, read> geometry: Geometry;
@group(0) @binding(3) var<storage, read> normalization: array<vec4f, 2>;
@group(0) @binding(4) var<storage, read_write> out: array<T4>;

// Two neighbouring bins along an axis, which may share a pixel, and the weight of a pixel of each.
struct Bins {
  begin: u32,
  firstEnd: u32,
  secondBegin: u32,
  end: u32,
  firstWeight: f32,
  secondWeight: f32,
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= shape.Q || id.y >= shape.P) { return; }
  let rows = bins(id.y, shape.P, geometry.reduced.x, geometry.crop.x);
  let columns = bins(id.x, shape.Q, geometry.reduced.y, geometry.crop.y);
  let corner = geometry.corner;
  let first = id.z * shape.H * shape.W;
  let item = items[id.z];
  var resized = vec3f(0);
  for (var i = rows.begin; i < rows.end; i++) {
    var line = vec3f(0);
    for (var j = columns.begin; j < columns.end; j++) {
      line += weight(columns, j) * warped(first, item, corner.x + i, corner.y + j);
    }
    resized += weight(rows, i) * line;
  }
  var colour = resized;
  if (LIGHTING) { colour = lit(colour, item); }
  if (HUE) { colour = turned(colour, item.hue); }
  out[(id.z * shape.P + id.y) * shape.Q + id.x] = store4(vec4f((colour - normalization[0].rgb) * normalization[1].rgb, 0));
}

// Output o of P is at o·(reduced - 1)/(P - 1) of the reduced axis, whose bin b is the mean of the pixels from
// ⌊b·size/reduced⌋ to before ⌈(b + 1)·size/reduced⌉ (adaptive average pooling). Computed in integers, thus exact at equal sizes.
fn bins(o: u32, outputs: u32, reduced: u32, size: u32) -> Bins {
  let place = o * (reduced - 1);
  let b = place / (outputs - 1);
  let fraction = f32(place - b * (outputs - 1)) / f32(outputs - 1);
  let begin = b * size / reduced;
  let firstEnd = ((b + 1) * size + reduced - 1) / reduced;
  if (fraction == 0) { return Bins(begin, firstEnd, firstEnd, firstEnd, 1 / f32(firstEnd - begin), 0); }
  let secondBegin = (b + 1) * size / reduced;
  let end = ((b + 2) * size + reduced - 1) / reduced;
  let weights = vec2f(1 - fraction, fraction) / vec2f(f32(firstEnd - begin), f32(end - secondBegin));
  return Bins(begin, firstEnd, secondBegin, end, weights.x, weights.y);
}

fn weight(bins: Bins, i: u32) -> f32 {
  return select(0, bins.firstWeight, i < bins.firstEnd) + select(0, bins.secondWeight, i >= bins.secondBegin);
}

fn warped(first: u32, item: Item, i: u32, j: u32) -> vec3f {
  if (!WARP) { return pixel(first, i, j); }
  let at = vec3f(vec2f(f32(j), f32(i)) - vec2f(geometry.warped.yx - 1) / 2, 1);
  let divisor = dot(item.divisor, at);
  let fromCentre = vec2f(dot(item.column, at), dot(item.row, at)) / select(divisor, 1, divisor == 0);
  let last = vec2u(sourceWidth(), sourceHeight()) - 1;
  var place = vec2f(last) / 2 + fromCentre;
  if (PAD == 2) { return fading(first, place, last); }
  if (PAD == 1) { place = clamp(place, vec2f(0), vec2f(last)); } else { place = reflected(place, vec2f(last)); }
  let low = vec2u(place);
  let high = min(low + 1, last);
  let fraction = place - vec2f(low);
  let top = mix(pixel(first, low.y, low.x), pixel(first, low.y, high.x), fraction.x);
  let bottom = mix(pixel(first, high.y, low.x), pixel(first, high.y, high.x), fraction.x);
  return mix(top, bottom, fraction.y);
}

// Black beyond the border, into which the border pixels fade within one pixel. A place far away is as black as one just outside.
fn fading(first: u32, place: vec2f, last: vec2u) -> vec3f {
  let near = clamp(place, vec2f(-1), vec2f(last + 1));
  let low = vec2i(floor(near));
  let fraction = near - vec2f(low);
  let top = mix(inside(first, low, last), inside(first, low + vec2i(1, 0), last), fraction.x);
  let bottom = mix(inside(first, low + vec2i(0, 1), last), inside(first, low + vec2i(1, 1), last), fraction.x);
  return mix(top, bottom, fraction.y);
}

fn inside(first: u32, at: vec2i, last: vec2u) -> vec3f {
  if (any(at < vec2i(0)) || any(at > vec2i(last))) { return vec3f(0); }
  return pixel(first, u32(at.y), u32(at.x));
}

// A triangle wave: 0 at 0, last at last, 0 again at 2·last. Clamped, since floats have gaps at positions far away.
fn reflected(place: vec2f, last: vec2f) -> vec2f {
  let period = 2 * last;
  return clamp(last - abs(last - (place - floor(place / period) * period)), vec2f(0), last);
}

fn sourceHeight() -> u32 {
  if (SHRINK) { return geometry.source.x; }
  return shape.H;
}

fn sourceWidth() -> u32 {
  if (SHRINK) { return geometry.source.y; }
  return shape.W;
}

fn pixel(first: u32, y: u32, x: u32) -> vec3f {
  if (!SHRINK) { return unpack4x8unorm(source[first + y * shape.W + x]).rgb; }
  let size = geometry.source;
  let begin = vec2u(y, x) * vec2u(shape.H, shape.W) / size;
  let end = (vec2u(y + 1, x + 1) * vec2u(shape.H, shape.W) + size - 1) / size;
  var sum = vec3f(0);
  for (var i = begin.x; i < end.x; i++) {
    for (var j = begin.y; j < end.y; j++) { sum += unpack4x8unorm(source[first + i * shape.W + j]).rgb; }
  }
  let count = end - begin;
  return sum / f32(count.x * count.y);
}

// The grey of a colour, by ITU-R BT.601 as fastai's grayscale rounds it.
const LUMA = vec3f(0.2989, 0.5870, 0.1140);

// sigmoid((logit(v) + logit(b))·c) = 1 / (1 + ((1 - v)/v · (1 - b)/b)^c), v kept from 0 and 1 as by fastai's logit.
fn lit(colour: vec3f, item: Item) -> vec3f {
  let kept = clamp(colour, vec3f(1e-7), vec3f(1 - 1e-7));
  // A multiple of the logit, which is mixed in the same way.
  var exponent = item.contrast * log2((1 - kept) / kept * item.darkness);
  if (SATURATION) { exponent = mix(vec3f(dot(LUMA, exponent)), exponent, item.saturation); }
  return 1 / (1 + exp2(exponent));
}

// RGB to hue, in sixths of a circle, and back with the hue turned: Smith 1978, "Color gamut transform pairs".
fn turned(colour: vec3f, by: f32) -> vec3f {
  let high = max(colour.r, max(colour.g, colour.b));
  let chroma = high - min(colour.r, min(colour.g, colour.b));
  if (chroma == 0) { return colour; }
  let ahead = (colour.gbr - colour.brg) / chroma;
  let hue = select(select(4 + ahead.b, 2 + ahead.g, colour.g == high), ahead.r, colour.r == high);
  let sixths = fract((vec3f(5, 3, 1) + hue) / 6 + by) * 6;
  return high - chroma * clamp(min(sixths, 4 - sixths), vec3f(0), vec3f(1));
}
