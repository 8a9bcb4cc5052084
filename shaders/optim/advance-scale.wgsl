// Halves the scale after a bad step, doubles it after GROWTH_INTERVAL consecutive good ones. It stays between 2^-126 and 2^126,
// where it and its inverse are normal numbers of f32: a step with 0 or Inf would make every parameter NaN.
//
// scale: [] f32   goodSteps, foundInfinity, skipped: [] u32   skippedSteps: [] f32, bad steps so far
// foundInfinity moves to skipped and is 0 afterwards; one thread
// Source: torch.cuda.amp.GradScaler, growth_factor 2, backoff_factor 0.5.
// @shape GROWTH_INTERVAL
// @sample GROWTH_INTERVAL=2000

@group(0) @binding(0) var<storage, read_write> scale: f32;
@group(0) @binding(1) var<storage, read_write> goodSteps: u32;
@group(0) @binding(2) var<storage, read_write> foundInfinity: u32;
@group(0) @binding(3) var<storage, read_write> skipped: u32;
@group(0) @binding(4) var<storage, read_write> skippedSteps: f32;

@compute @workgroup_size(1)
fn main() {
  skipped = foundInfinity;
  goodSteps += 1u;
  if (foundInfinity != 0u) {
    scale = max(0.5 * scale, 0x1p-126);
    skippedSteps += 1.0;
    goodSteps = 0u;
    foundInfinity = 0u;
  } else if (goodSteps == shape.GROWTH_INTERVAL) {
    scale = 2.0 * min(scale, 0x1p125);
    goodSteps = 0u;
  }
}
