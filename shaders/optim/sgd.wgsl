// One step of gradient descent without momentum, for every parameter of a chunk
//
//   g = gradient · unscale + gradientDecay·p
//   p ← p·decay − lr·g
//
// The factors are those of the block's parameter (sgd-factors.wgsl); with unscale 0 nothing changes. With F16_COPIES the f16
// copy of p is written in the same pass.
//
// gradients, values: [BLOCKS·256] f32   f16Copies: the same in storage type   owners: [BLOCKS] u32
// factors: [P] FactorRow
// @use lib/sgd-factors lib/optimizer-blocks
// @const F16_COPIES:bool
// @shape BLOCKS TURNS
// @sample F16_COPIES=true BLOCKS=3 TURNS=4

@group(0) @binding(0) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(1) var<storage, read> owners: array<u32>;
@group(0) @binding(2) var<storage, read> factors: array<FactorRow>;
@group(0) @binding(3) var<storage, read_write> values: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> f16Copies: array<T4>;

fn update(i: u32, factor: Factors) {
  let before = values[i];
  let g = gradients[i] * factor.unscale + factor.gradientDecay * before;
  let p = before * factor.decay - factor.lr * g;
  values[i] = p;
  if (F16_COPIES) { f16Copies[i] = store4(p); }
}
