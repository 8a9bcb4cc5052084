import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { nextRestart } from '../../src/image/huffman.ts'
import { lacksRestarts, repairJpeg, restoreRestarts } from '../../src/image/jpeg-repair.ts'
import { MARKERS, readJpeg, uint16, type JpegFile, type Segment } from '../../src/image/jpeg-segments.ts'

const golden = JSON.parse(readFileSync(new URL('../golden/decode.json', import.meta.url), 'utf8')) as {
  readonly cases: readonly { readonly name: string; readonly file: string }[]
}

function read(name: string): { readonly file: JpegFile; readonly segments: readonly Segment[] } {
  const found = golden.cases.find((one) => one.name === name)
  if (found === undefined) throw new Error(`decode.json has no '${name}'`)
  const file = readJpeg(Buffer.from(found.file, 'base64'))
  return { file, segments: repairJpeg(file) }
}

/** Places of the restart markers of entropy-coded data. */
function restartsOf(coded: Uint8Array): readonly number[] {
  const places: number[] = []
  for (let at = nextRestart(coded, 0); at < coded.length; at = nextRestart(coded, at + 2)) places.push(at)
  return places
}

const codedOf = (segments: readonly Segment[]) => segments.find(({ marker }) => marker === MARKERS.startOfScan)!.coded
const withCoded = (segments: readonly Segment[], coded: Uint8Array) =>
  segments.map((segment) => (segment.marker === MARKERS.startOfScan ? { ...segment, coded } : segment))
const without = (coded: Uint8Array, places: readonly number[]) =>
  coded.filter((_, i) => !places.includes(i) && !places.includes(i - 1))
const withInterval = (segments: readonly Segment[], interval: number) =>
  segments.map((segment) =>
    segment.marker === MARKERS.restartInterval
      ? { ...segment, body: Uint8Array.of(interval >> 8, interval & 255) }
      : segment,
  )
const intervalOf = (segments: readonly Segment[]) =>
  uint16(segments.find(({ marker }) => marker === MARKERS.restartInterval)!.body, 0)

/** Files with a marker behind every block, of which there are more than the eight numbers, and with fewer. */
describe.each(['444 a restart lost', '420 a restart lost', 'grey a restart lost', 'grey restart'])(
  'restart markers of %s',
  (name) => {
    const { file, segments: found } = read(`jpeg ${name}`)
    // That the pixels are right so is proven in decode.test.ts.
    const whole = restoreRestarts(found, file)
    const coded = codedOf(whole)
    const places = restartsOf(coded)

    test('are numbered from 0 to 7 in turns, and stay where all are there', () => {
      expect(places.length).toBeGreaterThan(1)
      expect(places.map((at) => coded[at + 1])).toEqual(places.map((_, i) => MARKERS.restart + (i % 8)))
      expect(lacksRestarts(whole, file)).toBe(false)
      expect(restoreRestarts(whole, file)).toEqual(whole)
    })

    test('are missed and put back, each alone and all together', () => {
      for (const lost of [...places.map((at) => [at]), places]) {
        const damaged = withCoded(whole, without(coded, lost))
        expect(lacksRestarts(damaged, file)).toBe(true)
        expect(restoreRestarts(damaged, file)).toEqual(whole)
      }
    })

    test('of a wrong number are missed and put right', () => {
      const wrong = coded.slice()
      wrong[places[1] + 1] ^= 2
      expect(lacksRestarts(withCoded(whole, wrong), file)).toBe(true)
      expect(restoreRestarts(withCoded(whole, wrong), file)).toEqual(whole)
    })

    test('are left out where bytes stand before them, and behind the last interval', () => {
      const stray = [...coded.subarray(0, places[1]), 7, 7, ...coded.subarray(places[1])]
      expect(restoreRestarts(withCoded(whole, Uint8Array.from(stray)), file)).toEqual(whole)
      const more = [...coded, 0xff, MARKERS.restart + (places.length % 8)]
      expect(restoreRestarts(withCoded(whole, Uint8Array.from(more)), file)).toEqual(whole)
      const many = [...more, ...more.slice(-2), ...more.slice(-2)]
      expect(restoreRestarts(withCoded(whole, Uint8Array.from(many)), file)).toEqual(whole)
    })

    test('are not made up where more than they is lost or left', () => {
      const left =
        (bytes: Uint8Array, ...more: number[]) =>
        () =>
          restoreRestarts(withCoded(whole, Uint8Array.from([...bytes, ...more])), file)
      expect(left(coded, 1, 2, 3, 4, 5)).toThrow('data are left behind its last unit')
      expect(left(without(coded, places), 1)).toThrow('data are left behind its last unit')
      expect(left(coded.subarray(0, places[0]))).toThrow()
    })

    test('are none where the interval is 0, or all of the file', () => {
      const count = (places.length + 1) * intervalOf(whole)
      for (const interval of [0, count]) {
        const segments = withInterval(withCoded(whole, without(coded, places)), interval)
        expect(lacksRestarts(segments, file)).toBe(false)
      }
      const undivided = withInterval(whole, 0)
      expect(restoreRestarts(undivided, file)).toEqual(undivided)
    })
  },
)

test.each(['444', '420', 'grey'])('a scan of %s that ignores its interval has none from then on', (kind) => {
  const { file, segments } = read(`jpeg ${kind} restarts ignored`)
  expect(lacksRestarts(segments, file)).toBe(true)
  const restored = restoreRestarts(segments, file)
  expect(codedOf(restored)).toEqual(codedOf(segments))
  const scan = restored.findIndex(({ marker }) => marker === MARKERS.startOfScan)
  expect(restored[scan - 1]).toMatchObject({ marker: MARKERS.restartInterval, body: Uint8Array.of(0, 0) })
  const left = withCoded(segments, Uint8Array.from([...codedOf(segments), 1, 2, 3, 4, 5]))
  expect(() => restoreRestarts(left, file)).toThrow()
})

test('a progressive file has none that can be put back', () => {
  const { file, segments } = read('jpeg progressive 420')
  const interval = { marker: MARKERS.restartInterval, body: Uint8Array.of(0, 1), coded: new Uint8Array() }
  expect(lacksRestarts([interval, ...segments], file)).toBe(false)
})
