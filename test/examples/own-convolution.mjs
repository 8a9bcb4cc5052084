/**
 * Convolution kernels of a program, one for each of the three passes, registered beside those of the library;
 * `own-convolution.test.ts` proves and times them, and so does
 *
 *   npm run bench -- conv2d --own test/examples/own-convolution.mjs
 *
 * They are plain: a thread computes four neighbouring numbers of the result, straight from memory.
 */
import { registerConvolutionKernel } from 'wgrad/gpu'
import { registerShader } from 'wgrad/tensor'

// y[n,p,q,o] = Σ over r, s, c of x[n, p·STRIDE − PAD + r, q·STRIDE − PAD + s, c] · weight[o,r,s,c]
// A workgroup computes 16 pixels of y by 16 channels, a thread one pixel by four channels, straight from memory.
const forward = registerShader(
  'example/plain-convolution',
  /* wgsl */ `
// @shape N H W C P Q O R S STRIDE PAD
@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let across = (shape.O + 15u) / 16u;
  let tile = workgroupIndex(group);
  let pixel = tile / across * 16u + thread / 4u;
  let first = tile % across * 16u + thread % 4u * 4u;
  if (pixel >= shape.N * shape.P * shape.Q || first >= shape.O) { return; }
  let n = pixel / (shape.P * shape.Q);
  let p = pixel / shape.Q % shape.P;
  let q = pixel % shape.Q;
  let vectors = (shape.C + 3u) / 4u;
  var sum = vec4f();
  for (var r = 0u; r < shape.R; r++) {
    for (var s = 0u; s < shape.S; s++) {
      let h = i32(p * shape.STRIDE + r) - i32(shape.PAD);
      let w = i32(q * shape.STRIDE + s) - i32(shape.PAD);
      if (h < 0 || w < 0 || h >= i32(shape.H) || w >= i32(shape.W)) { continue; }
      let row = ((n * shape.H + u32(h)) * shape.W + u32(w)) * vectors;
      for (var c = 0u; c < vectors; c++) {
        let value = load4(x[row + c]);
        for (var i = 0u; i < 4u; i++) {
          let o = first + i;
          if (o < shape.O) { sum[i] += dot(value, load4(weight[((o * shape.R + r) * shape.S + s) * vectors + c])); }
        }
      }
    }
  }
  y[pixel * ((shape.O + 3u) / 4u) + first / 4u] = store4(sum);
}`,
)

// dx[n,h,w,c] = Σ over r, s, o of dy[n,p,q,o] · weight[o,r,s,c]  with  p·STRIDE − PAD + r = h,  q·STRIDE − PAD + s = w
// The launch has workgroups for the pixels of STRIDE² classes, which have different taps. This kernel numbers the pixels of dx
// straight on and tries every tap; a faster one takes a class at a time, as conv2d/backward-input-tile.wgsl does.
const backwardInput = registerShader(
  'example/plain-convolution-backward-input',
  /* wgsl */ `
// @shape N H W C P Q O R S STRIDE PAD
@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let across = (shape.C + 15u) / 16u;
  let tile = workgroupIndex(group);
  let pixel = tile / across * 16u + thread / 4u;
  let vectors = (shape.C + 3u) / 4u;
  let vector = tile % across * 4u + thread % 4u;
  if (pixel >= shape.N * shape.H * shape.W || vector >= vectors) { return; }
  let n = pixel / (shape.H * shape.W);
  let h = pixel / shape.W % shape.H;
  let w = pixel % shape.W;
  var sum = vec4f();
  for (var r = 0u; r < shape.R; r++) {
    for (var s = 0u; s < shape.S; s++) {
      // A row or column above or left of the image wraps to a huge number.
      let down = h + shape.PAD - r;
      let right = w + shape.PAD - s;
      if (down % shape.STRIDE != 0u || right % shape.STRIDE != 0u) { continue; }
      let p = down / shape.STRIDE;
      let q = right / shape.STRIDE;
      if (h + shape.PAD < r || w + shape.PAD < s || p >= shape.P || q >= shape.Q) { continue; }
      let row = ((n * shape.P + p) * shape.Q + q) * ((shape.O + 3u) / 4u);
      for (var o = 0u; o < shape.O; o++) {
        sum += load4(dy[row + o / 4u])[o % 4u] * load4(weight[((o * shape.R + r) * shape.S + s) * vectors + vector]);
      }
    }
  }
  dx[pixel * vectors + vector] = store4(sum);
}`,
)

// dw[o,r,s,c] = Σ over n, p, q of dy[n,p,q,o] · x[n, p·STRIDE − PAD + r, q·STRIDE − PAD + s, c], always in f32
// A column of the product is a tap and an in-channel: number 4·⌈C/4⌉·tap + c. Each of the SLICES sums a part of the pixels and
// writes a dw of its own, all of it, also where it has no pixels; the library adds them up. The binding foundInfinity of
// lib/overflow saves mixed precision a launch that looks for Inf and NaN in the gradient; without it the library makes one.
const backwardWeight = registerShader(
  'example/plain-convolution-backward-weight',
  /* wgsl */ `
// @use lib/overflow
// @shape N H W C P Q O R S STRIDE PAD SLICES
@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> foundInfinity: atomic<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let vectors = (shape.C + 3u) / 4u;
  let columns = shape.R * shape.S * vectors;
  let o = group.y * 16u + thread / 4u;
  let column = group.x * 4u + thread % 4u;
  if (o >= shape.O || column >= columns) { return; }
  let r = column / vectors / shape.S;
  let s = column / vectors % shape.S;
  let pixels = shape.N * shape.P * shape.Q;
  let part = (pixels + shape.SLICES - 1u) / shape.SLICES;
  var sum = vec4f();
  for (var pixel = group.z * part; pixel < min(pixels, (group.z + 1u) * part); pixel++) {
    let n = pixel / (shape.P * shape.Q);
    // Above or left of the image wraps to a huge number.
    let h = pixel / shape.Q % shape.P * shape.STRIDE + r - shape.PAD;
    let w = pixel % shape.Q * shape.STRIDE + s - shape.PAD;
    if (h >= shape.H || w >= shape.W) { continue; }
    let factor = load4(dy[pixel * ((shape.O + 3u) / 4u) + o / 4u])[o % 4u];
    sum += factor * load4(x[((n * shape.H + h) * shape.W + w) * vectors + column % vectors]);
  }
  dw[(group.z * shape.O + o) * columns + column] = sum;
  checkOverflow(isOverflow(sum));
}`,
)

const tile = { rows: 16, columns: 16, takes: ({ R }) => R <= 3 }
registerConvolutionKernel({ name: 'plain', pass: 'forward', shader: forward, ...tile })
registerConvolutionKernel({ name: 'plain-input', pass: 'backward-input', shader: backwardInput, ...tile })
registerConvolutionKernel({ name: 'plain-weight', pass: 'backward-weight', shader: backwardWeight, ...tile })
