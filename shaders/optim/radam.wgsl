// One step of RAdam, for every parameter of a chunk
//
//   g = gradient · unscale + gradientDecay·p
//   m ← momentum·m + dampening·g
//   v ← squareMomentum·v + squareDampening·g²
//   p ← p·decay − stepSize·m / d
//
//   d = √v·rootScale + epsilon, with BETA ≠ 0 ln(1 + exp(BETA·d)) / BETA of that; 1 while rootScale is 0
//
// The factors are those of the block's parameter (radam-factors.wgsl); with unscale 0 nothing changes. With F16_COPIES the
// f16 copy of p is written in the same pass.
//
// gradients, values, means, squares: [BLOCKS·256] f32   f16Copies: the same in storage type   owners: [BLOCKS] u32
// factors: [P] FactorRow
// @use lib/radam-factors lib/optimizer-blocks
// @const F16_COPIES:bool BETA:f32
// @shape BLOCKS TURNS
// @sample F16_COPIES=true BETA=50 BLOCKS=3 TURNS=4

@group(0) @binding(0) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(1) var<storage, read> owners: array<u32>;
@group(0) @binding(2) var<storage, read> factors: array<FactorRow>;
@group(0) @binding(3) var<storage, read_write> values: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> means: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> squares: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> f16Copies: array<T4>;

fn update(i: u32, factor: Factors) {
  let before = values[i];
  let g = gradients[i] * factor.unscale + factor.gradientDecay * before;
  let m = factor.momentum * means[i] + factor.dampening * g;
  let v = factor.squareMomentum * squares[i] + factor.squareDampening * g * g;
  let p = before * factor.decay - factor.stepSize * m / denominator(v, factor);
  means[i] = m;
  squares[i] = v;
  values[i] = p;
  if (F16_COPIES) { f16Copies[i] = store4(p); }
}

fn denominator(v: vec4f, factor: Factors) -> vec4f {
  if (factor.rootScale == 0.0) { return vec4f(1.0); }
  let d = sqrt(v) * factor.rootScale + factor.epsilon;
  if (BETA == 0.0) { return d; }
  // d is never negative, so this is the softplus in the form that cannot overflow.
  return d + log(1.0 + exp(-BETA * d)) / BETA;
}
