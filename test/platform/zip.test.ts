import { strToU8, zipSync } from 'fflate'
import { expect, test } from 'vitest'
import { zipEntries } from '../../src/platform/browser/zip.ts'

/** An archive in which every `?` of a name is another byte, as of a program that writes no UTF-8. */
function archiveOf(names: readonly string[], byte: (nth: number) => number): Blob {
  const bytes = zipSync(Object.fromEntries(names.map((name) => [name, strToU8(name)])))
  const text = Array.from(bytes, (code) => String.fromCharCode(code)).join('')
  for (const [nth, name] of names.entries()) {
    // In the local header and in the directory.
    for (const { index } of text.matchAll(new RegExp(name.replace('?', '\\?'), 'g'))) {
      bytes[index + name.indexOf('?')] = byte(nth)
    }
  }
  return new Blob([bytes])
}

test('names of an archive that Windows packed stay apart, and are those that it showed', async () => {
  const archive = archiveOf(['B?r/1.png', 'B?r/2.png', 'Stra?e/3.png'], (nth) => [0x84, 0x94, 0xe1][nth])
  expect([...(await zipEntries('a.zip', archive)).keys()]).toEqual(['Bär/1.png', 'Bör/2.png', 'Straße/3.png'])
})

test('names in UTF-8 are read as such, whether or not the archive says so', async () => {
  const names = ['Bär/1.png', '猫/2.png', 'dog/3.png']
  const bytes = zipSync(Object.fromEntries(names.map((name) => [name, strToU8(name)])))
  expect([...(await zipEntries('a.zip', new Blob([bytes]))).keys()]).toEqual(names)
  // Bit 11 of the flags, in the local headers and in the directory.
  const view = new DataView(bytes.buffer)
  for (let at = 0; at + 4 < bytes.length; at++) {
    const flagsAt = { 0x04034b50: at + 6, 0x02014b50: at + 8 }[view.getUint32(at, true)]
    if (flagsAt !== undefined) view.setUint16(flagsAt, view.getUint16(flagsAt, true) & ~0x800, true)
  }
  expect([...(await zipEntries('a.zip', new Blob([bytes]))).keys()]).toEqual(names)
})
