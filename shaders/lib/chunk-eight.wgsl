// lib/chunk-four for eight channels in f16, EACH = 2: one load of 16 bytes.
alias Chunk = vec4u;

fn partOf(chunk: Chunk, v: u32) -> vec4f {
  return load4(select(chunk.xy, chunk.zw, v == 1u));
}

fn chunkOf(parts: array<vec4f, EACH>) -> Chunk {
  return vec4u(store4(parts[0]), store4(parts[1]));
}
