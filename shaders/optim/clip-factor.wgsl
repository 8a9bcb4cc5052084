// norm = √Σ sums,  factor = min(1, MAX_NORM / (norm + 1e-6))
//
// Where the norm is Inf or NaN, the factor is 0 (see scale-gradients.wgsl).
// Source: torch.nn.utils.clip_grad_norm_.
//
// sums: [COUNT,4] f32   norm, factor: [] f32; one workgroup
// @use lib/rows
// @const LANES:u32 ROWS:u32 MAX_NORM:f32
// @shape COUNT
// @sample LANES=1 ROWS=64 MAX_NORM=1 COUNT=5

@group(0) @binding(0) var<storage, read> sums: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> norm: f32;
@group(0) @binding(2) var<storage, read_write> factor: f32;

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = vec4f();
  for (var i = thread; i < shape.COUNT; i += LANES * ROWS) { sum += sums[i]; }
  sum = sumRows(sum, thread);
  if (thread == 0u) {
    let length = sqrt(sum.x + sum.y + sum.z + sum.w);
    let finite = (bitcast<u32>(length) & 0x7f800000u) != 0x7f800000u;
    norm = length;
    factor = select(0.0, min(1.0, MAX_NORM / (length + 1e-6)), finite);
  }
}
