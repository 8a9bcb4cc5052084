// y[n,c] = mean over the pixels p of x[n,p,c]
//
// x: [N,PIXELS,C]   y: [N,C] storage type; C = 4·VECTORS. One thread per vector of y
// @use lib/long-sum
// @shape N PIXELS VECTORS
// @sample N=3 PIXELS=35 VECTORS=3

@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i >= shape.N * shape.VECTORS) { return; }
  let first = i / shape.VECTORS * shape.PIXELS * shape.VECTORS + i % shape.VECTORS;
  y[i] = store4(longSum(first, shape.VECTORS, shape.PIXELS, shape.PIXELS) / f32(shape.PIXELS));
}

alias Sum = vec4f;
alias Loaded = T4;

fn loaded(i: u32) -> Loaded { return x[i]; }

fn term(kept: Loaded) -> Sum { return load4(kept); }
