// A chunk, the channels that a thread loads at once: four of them. A kernel uses lib/chunk-four and has EACH, the vectors of four
// channels in a chunk; with EACH = 2 the prelude takes lib/chunk-eight in its place.
alias Chunk = T4;

fn partOf(chunk: Chunk, v: u32) -> vec4f {
  return load4(chunk);
}

fn chunkOf(parts: array<vec4f, EACH>) -> Chunk {
  return store4(parts[0]);
}
