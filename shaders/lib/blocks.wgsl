// Chunk of the parameters, which are stored one after the other as flat numbers, in blocks of 256, each of one parameter. A
// workgroup of 64 threads takes four blocks, a thread four vectors of four of one of them.
const TURNS = 4u;

fn blockOf(group: vec3u, thread: u32) -> u32 { return workgroupIndex(group) * 4u + thread / 16u; }
fn vectorOf(block: u32, thread: u32, turn: u32) -> u32 { return (block * TURNS + turn) * 16u + thread % 16u; }
