// seed = scale · SHARE: the seed of backward for a batch that is a part of a larger one
//
// scale, seed: [] f32; one thread
// @const SHARE:f32
// @sample SHARE=0.25

@group(0) @binding(0) var<storage, read> scale: f32;
@group(0) @binding(1) var<storage, read_write> seed: f32;

@compute @workgroup_size(1)
fn main() {
  seed = scale * SHARE;
}
