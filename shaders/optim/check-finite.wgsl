// foundInfinity = 1 if any number of x is Inf or NaN; one workgroup
//
// x: f32, of any shape   foundInfinity: [] u32
// @use lib/overflow

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> foundInfinity: atomic<u32>;

@compute @workgroup_size(128)
fn main(@builtin(local_invocation_index) thread: u32) {
  var overflow = false;
  for (var i = thread; i < arrayLength(&x); i += 128u) { overflow |= isOverflow(x[i]); }
  checkOverflow(overflow);
}
