// Chunk of the parameters, which are stored one after the other as flat numbers, in blocks of 256, each of one parameter. A
// workgroup of 64 threads takes four blocks, a thread shape.TURNS = 4 vectors of four of one of them.
//
// The turns are a size and not a constant, so that Mesa's software adapter keeps the loop: written out four times, Adam took
// 3.7 s of processor time to compile in place of 1.0 (vectors of 512 bits, a Xeon), and ran no faster.
fn blockOf(group: vec3u, thread: u32) -> u32 { return workgroupIndex(group) * 4u + thread / 16u; }
fn vectorOf(block: u32, thread: u32, turn: u32) -> u32 { return (block * shape.TURNS + turn) * 16u + thread % 16u; }
