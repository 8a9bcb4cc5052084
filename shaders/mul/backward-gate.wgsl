// db[n,c] = sum over the pixels p of  dy[n,p,c] · a[n,p,c]
//
// a, dy: [N,PIXELS,C]   db: [N,C] storage type; C = 4·VECTORS. One thread per vector of db
// @use lib/long-sum
// @shape N PIXELS VECTORS
// @sample N=3 PIXELS=35 VECTORS=3

@group(0) @binding(0) var<storage, read> a: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> db: array<T4>;

alias Sum = vec4f;

struct Loaded { dy: T4, a: T4 }

fn loaded(i: u32) -> Loaded { return Loaded(dy[i], a[i]); }

fn term(kept: Loaded) -> Sum { return load4(kept.dy) * load4(kept.a); }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < shape.N * shape.VECTORS) {
    let first = i / shape.VECTORS * shape.PIXELS * shape.VECTORS + i % shape.VECTORS;
    db[i] = store4(longSum(first, shape.VECTORS, shape.PIXELS, shape.PIXELS));
  }
}
