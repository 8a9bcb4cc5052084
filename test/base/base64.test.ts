import { expect, test } from 'vitest'
import { base64 } from '../../src/base/base64.ts'

test('as Node encodes it, at every length', () => {
  for (let length = 0; length < 70; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 91 + length * 17) % 256)
    expect(base64(bytes)).toBe(Buffer.from(bytes).toString('base64'))
  }
})
