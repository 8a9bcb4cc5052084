import { describe, expect, test } from 'vitest'
import { fuzzCase } from '../../bench/fuzz/case.ts'
import { examine } from '../../bench/fuzz/examine.ts'
import { KINDS, subjects } from '../../bench/fuzz/subjects.ts'
import { DataError } from '../../src/base/errors.ts'

const all = await subjects()
/** Files of each kind: the first of the ten thousand that `npm run fuzz` reads. */
const COUNT = 40

describe.each(KINDS)('%s', (kind) => {
  const subject = all[kind]

  test('the examples themselves are read', async () => {
    for (const bytes of subject.seeds) {
      expect(await examine(subject, bytes)).toMatchObject({ accepted: true, seconds: expect.any(Number) })
    }
    for (const bytes of subject.seeds) expect((await examine(subject, bytes)).fault).toBeUndefined()
  })

  test(`${COUNT} damaged files are read the same twice, or refused by name`, async () => {
    const faults = []
    for (let index = 0; index < COUNT; index++) {
      const { fault } = await examine(subject, fuzzCase(kind, subject, 0, index))
      if (fault !== undefined) faults.push([index, fault])
    }
    expect(faults).toEqual([])
  })

  test('a number stands for one file', () => {
    expect(fuzzCase(kind, subject, 0, 3)).toEqual(fuzzCase(kind, subject, 0, 3))
    expect(fuzzCase(kind, subject, 0, 3)).not.toEqual(fuzzCase(kind, subject, 1, 3))
  })
})

describe('what is at fault is found', () => {
  const faultOf = async (read: () => string | Promise<string>) =>
    (await examine({ path: 'a.jpg', read: async () => read() }, new Uint8Array(4))).fault

  test('foreign errors, and those without the name', async () => {
    expect(
      await faultOf(() => {
        throw new RangeError('Invalid array length')
      }),
    ).toContain('a foreign error: RangeError: Invalid array length')
    expect(
      await faultOf(() => {
        throw new DataError('decode', 'damaged')
      }),
    ).toBe('the file is not named: decode: damaged')
    expect(
      await faultOf(() => {
        throw new DataError('train/a.jpg', 'damaged')
      }),
    ).toBeUndefined()
  })

  test('two answers', async () => {
    let calls = 0
    expect(await faultOf(() => String(calls++))).toBe('read twice, accepted and accepted: 0 | 1')
    expect(
      await faultOf(() => {
        if (calls++ % 2 === 0) throw new DataError('a.jpg', 'damaged')
        return 'x'
      }),
    ).toContain('refused and accepted')
  })

  test('time and memory, also such as is given back', async () => {
    // Of the processor, which others may have in between.
    const busy = () => {
      let sum = 0
      for (const { user } = process.cpuUsage(); process.cpuUsage().user < user + 2.2e6;) {
        for (let i = 0; i < 1e6; i++) sum += i % 7
      }
      return String(sum > 0)
    }
    expect(await faultOf(busy)).toMatch(/^it took \d\.\d s$/)
    expect(
      await faultOf(() => {
        for (let i = 0; i < 5; i++) new Uint8Array(2 ** 28)
        return ''
      }),
    ).toBe('it took 1280 MiB')
    expect(
      await faultOf(() => {
        new Float32Array(new ArrayBuffer(2 ** 29))
        return ''
      }),
    ).toBeUndefined()
    expect(new Uint8Array(4)).toBeInstanceOf(Uint8Array)
  })
})
