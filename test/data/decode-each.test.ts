import { expect, test } from 'vitest'
import { decodeEach } from '../../src/data/decode-each.ts'
import type { DecodePool } from '../../src/platform/platform.ts'

test('an error of whoever uses the images ends the work', async () => {
  let decoded = 0
  const decoder: DecodePool = {
    threads: 2,
    decode: () => {
      decoded++
      return Promise.resolve({ width: 1, height: 1, data: new Uint8Array(4) })
    },
    close: () => Promise.resolve(),
  }
  const requests = Array.from({ length: 1000 }, (_, i) => ({ path: `${i}.png` }))
  const full = () => Promise.reject(new Error('the disk is full'))
  await expect(decodeEach(decoder, requests, (_pixels, i) => (i === 3 ? full() : undefined))).rejects.toThrow('disk')
  // Images whose decoding has begun are decoded to the end.
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect(decoded).toBeLessThan(20)
})
