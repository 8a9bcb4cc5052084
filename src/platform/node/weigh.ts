/** Bytes from which a buffer is weighed: nearly all of a network is in larger ones, of which there are few. */
const HEAVY = 2 ** 20

/** Constructor of ECMAScript 2024, of which Node 20 has this part. */
const Resizable = ArrayBuffer as unknown as new (
  byteLength: number,
  options: { readonly maxByteLength: number },
) => ArrayBuffer

/** Reserves as much memory, which is never touched and so takes no room, but counts (see `Platform.weigh`). */
export function weigh(byteLength: number): object | undefined {
  if (byteLength < HEAVY) return undefined
  try {
    // One that can be resized is mapped; others may be filled with zeros.
    return new Resizable(byteLength, { maxByteLength: byteLength })
  } catch {
    // Without address space for it, what was dropped is found later.
    return undefined
  }
}
