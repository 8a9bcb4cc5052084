// dx[i] = dy[i] · f'(x[i]), 0 on the flat parts of those made of lines; f is the activation KIND of lib/activations
//
// x, dy, dx: [VECTORS] storage type; one thread per vector of four
// @use lib/activations
// @const KIND:u32
// @shape VECTORS
// @sample KIND=2 VECTORS=5

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < shape.VECTORS) {
    let slope = slopeOf(KIND, load4(x[i]));
    var value = load4(dy[i]) * slope;
    // A NaN in dy does not pass where nothing does.
    if (KIND >= HARD_SIGMOID) { value = select(value, vec4f(), slope == vec4f()); }
    dx[i] = store4(value);
  }
}
