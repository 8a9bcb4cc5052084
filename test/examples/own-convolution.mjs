/**
 * A convolution kernel of a program, registered beside those of the library; `own-convolution.test.ts` proves and times it, and
 * so does
 *
 *   npm run bench -- conv2d/forward --own test/examples/own-convolution.mjs
 */
import { registerConvolutionKernel } from 'wgrad/gpu'
import { registerShader } from 'wgrad/tensor'

// y[n,p,q,o] = Σ over r, s, c of x[n, p·STRIDE − PAD + r, q·STRIDE − PAD + s, c] · weight[o,r,s,c]
// A workgroup computes 16 pixels of y by 16 channels, a thread one pixel by four channels, straight from memory.
const shader = registerShader(
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

registerConvolutionKernel({ name: 'plain', pass: 'forward', shader, rows: 16, columns: 16, takes: ({ R }) => R <= 3 })
