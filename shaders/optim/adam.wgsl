// One step of Adam with decoupled weight decay, for every parameter of a chunk
//
//   g = gradient · unscale
//   m ← momentum·m + dampening·g
//   v ← squareMomentum·v + squareDampening·g²
//   p ← p·decay − stepSize·m / (√v + epsilon)
//
// The factors are those of the block's parameter, its bias corrections among them (adam-factors.wgsl); with unscale 0
// nothing changes. With F16_COPIES the f16 copy of p is written in the same pass.
//
// gradients, values, means, squares: [BLOCKS·256] f32   f16Copies: the same in storage type   owners: [BLOCKS] u32
// factors: [P] FactorRow
// @use lib/adam-factors lib/optimizer-blocks
// @const F16_COPIES:bool
// @shape BLOCKS TURNS
// @sample F16_COPIES=true BLOCKS=3 TURNS=4

@group(0) @binding(0) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(1) var<storage, read> owners: array<u32>;
@group(0) @binding(2) var<storage, read> factors: array<FactorRow>;
@group(0) @binding(3) var<storage, read_write> values: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> means: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> squares: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> f16Copies: array<T4>;

fn update(i: u32, factor: Factors) {
  let g = gradients[i] * factor.unscale;
  let m = factor.momentum * means[i] + factor.dampening * g;
  let v = factor.squareMomentum * squares[i] + factor.squareDampening * g * g;
  let p = values[i] * factor.decay - factor.stepSize * m / (sqrt(v) + factor.epsilon);
  means[i] = m;
  squares[i] = v;
  values[i] = p;
  if (F16_COPIES) { f16Copies[i] = store4(p); }
}
