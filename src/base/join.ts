/** Joins typed arrays of one kind end to end; a single one is returned as it is, without a copy. */
export function joined<A extends Uint8Array | Uint32Array | Float32Array>(
  Kind: new (length: number) => A,
  parts: readonly A[],
): A {
  if (parts.length === 1) return parts[0]
  const whole = new Kind(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
