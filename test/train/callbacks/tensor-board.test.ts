import { describe, expect, test } from 'vitest'
import { crc32c } from '../../../src/base/crc32.ts'
import { DataError } from '../../../src/base/errors.ts'
import { tensorBoard } from '../../../src/train/callbacks/tensor-board.ts'
import type { FitState } from '../../../src/train/fit/state.ts'
import { fakePlatform } from '../../helpers/fake-platform.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { memoryFiles } from '../../helpers/memory-files.ts'
import { stripes, tinyLearner } from '../../helpers/tiny.ts'

await openTestGpu()

test('the checksum is CRC-32C', () => {
  const text = (value: string) => new TextEncoder().encode(value)
  // RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
  expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43)
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e)
  expect(crc32c(text('123456789'))).toBe(0xe3069283)
})

interface Read {
  readonly version?: string
  readonly step: number
  readonly wallTime: number
  readonly scalars: Readonly<Record<string, number>>
}

/** Reads an event file by the letter of the format, without any code of the library but the checksum. */
function readEvents(bytes: Uint8Array): Read[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const events: Read[] = []
  const unmasked = (value: number) => {
    const turned = (value - 0xa282ead8) >>> 0
    return ((turned >>> 17) | (turned << 15)) >>> 0
  }
  let at = 0
  while (at < bytes.length) {
    const length = Number(view.getBigUint64(at, true))
    expect(unmasked(view.getUint32(at + 8, true))).toBe(crc32c(bytes.slice(at, at + 8)))
    const data = bytes.slice(at + 12, at + 12 + length)
    expect(unmasked(view.getUint32(at + 12 + length, true))).toBe(crc32c(data))
    events.push(readEvent(data))
    at += 16 + length
  }
  expect(at).toBe(bytes.length)
  return events
}

type Field = readonly [number: number, value: number | Uint8Array]

/** Fields of a message of protocol buffers: varints, doubles, floats, and what has a length. */
function fields(data: Uint8Array): Field[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const found: Field[] = []
  let at = 0
  const varint = () => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = data[at++]
      value += (byte & 127) * 2 ** shift
      if (byte < 128) return value
    }
  }
  while (at < data.length) {
    const key = varint()
    const [number, type] = [key >>> 3, key & 7]
    if (type === 0) found.push([number, varint()])
    else if (type === 1) found.push([number, view.getFloat64((at += 8) - 8, true)])
    else if (type === 5) found.push([number, view.getFloat32((at += 4) - 4, true)])
    else {
      const length = varint()
      found.push([number, data.slice(at, (at += length))])
    }
  }
  return found
}

function readEvent(data: Uint8Array): Read {
  const text = (value: unknown) => new TextDecoder().decode(value as Uint8Array)
  const of = new Map(fields(data))
  const summary = of.get(5)
  const values =
    summary instanceof Uint8Array ? fields(summary).map(([, value]) => new Map(fields(value as Uint8Array))) : []
  return {
    ...(of.has(3) && { version: text(of.get(3)) }),
    step: Number(of.get(2)),
    wallTime: Number(of.get(1)),
    scalars: Object.fromEntries(values.map((value) => [text(value.get(1)), Number(value.get(2))])),
  }
}

async function trained(files = memoryFiles()) {
  const platform = fakePlatform({ picture: (path) => stripes(path, 16), files })
  const callback = tensorBoard('runs/mine')
  const { learner } = await tinyLearner({ callbacks: [callback] }, { platform })
  return { learner, files, platform, callback }
}

async function eventFiles(files: ReturnType<typeof memoryFiles>): Promise<Read[][]> {
  const names = [...files.contents.keys()].filter((name) => name.startsWith('runs/mine/events.out.tfevents.')).sort()
  return Promise.all(names.map(async (name) => readEvents(await files.read(name))))
}

describe('an event file', () => {
  test('has the figures of every step and epoch, counted over all fits', async () => {
    const begin = Date.now() / 1000
    const { learner, files } = await trained()
    await learner.fitOneCycle(2, 1e-3)
    await learner.fit(1, 1e-3)
    const end = Date.now() / 1000
    const [first, second] = await eventFiles(files)
    const { fits } = learner.recorder
    expect(first[0].version).toBe('brain.Event:2')
    expect(first[0].wallTime).toBeGreaterThanOrEqual(begin)
    expect(first[0].wallTime).toBeLessThanOrEqual(end)
    const steps = (events: Read[]) => events.filter(({ scalars }) => 'lr' in scalars)
    const epochs = (events: Read[]) => events.filter(({ scalars }) => 'valid_loss' in scalars)
    expect(steps(first).map(({ step }) => step)).toEqual([1, 2, 3, 4])
    expect(steps(second).map(({ step }) => step)).toEqual([5, 6])
    expect(epochs(first).map(({ step }) => step)).toEqual([2, 4])
    expect(epochs(second).map(({ step }) => step)).toEqual([6])
    expect(steps(first).map(({ scalars }) => scalars)).toEqual(
      fits[0].losses.map((loss, i) => ({
        train_loss: Math.fround(loss),
        'train_loss/each_step': Math.fround(fits[0].rawLosses[i]),
        lr: Math.fround(fits[0].lrs[i]),
        mom: Math.fround(fits[0].momentums[i]),
      })),
    )
    expect(epochs(first).map(({ scalars }) => scalars)).toEqual(
      fits[0].rows.map(({ validLoss, metrics }) => ({
        valid_loss: Math.fround(validLoss),
        accuracy: Math.fround(metrics.accuracy),
      })),
    )
  })

  test('goes on counting where an interrupted fit is resumed', async () => {
    const { learner, files, platform } = await trained()
    const stop = {
      name: 'stop',
      order: -100,
      afterEpoch: ({ epoch }: { epoch: number }) => {
        if (epoch === 0) platform.interrupt()
      },
    }
    await learner.fit(1, 1e-3)
    await learner.fit(3, 1e-3, { checkpoint: 'run.safetensors', callbacks: [stop] })
    // In another process, without the fit before it.
    const again = await trained(files)
    const idle = { name: 'stop', order: -100 }
    await again.learner.fit(3, 1e-3, { checkpoint: 'run.safetensors', resume: true, callbacks: [idle] })
    const all = (await eventFiles(files)).flat().filter(({ scalars }) => 'lr' in scalars)
    expect(all.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  test('a long fit goes on in another file, and figures that could not be written follow', async () => {
    const files = memoryFiles()
    const write = files.write.bind(files)
    const sizes: number[] = []
    const platform = fakePlatform({
      picture: (path) => stripes(path, 16),
      files: Object.assign(files, {
        write(path: string, content: Uint8Array) {
          sizes.push(content.length)
          return sizes.length === 1 ? Promise.reject(new DataError(path, 'the disk is full')) : write(path, content)
        },
      }),
    })
    const callback = tensorBoard('runs/mine')
    const state = {
      platform,
      recorder: { losses: [1], lrs: [1], momentums: [1], rows: [] },
    } as unknown as FitState
    const epoch = async (first: number, steps: number) => {
      for (let i = 0; i < steps; i++) callback.lossKnown!(state, { iteration: first + i, loss: 1 })
      await callback.afterEpoch!(state)
    }
    await callback.beforeFit!(state)
    await epoch(0, 45_000)
    await epoch(45_000, 15_000)
    // A fit that ended here would leave no file without figures.
    await callback.afterFit!(state)
    expect(sizes).toHaveLength(2)
    expect(sizes[0]).toBeGreaterThan(2 ** 22)
    await epoch(60_000, 5)
    await callback.afterFit!(state)
    expect(platform.lines).toEqual([expect.stringMatching(/^no event file was written, and training goes on: runs/)])
    const [first, second, ...others] = await eventFiles(files)
    expect(others).toEqual([])
    const steps = (events: Read[]) => events.map(({ step }) => step)
    expect(steps(first)).toEqual(Array.from({ length: 60_001 }, (_, i) => i))
    expect(steps(second)).toEqual([0, 60_001, 60_002, 60_003, 60_004, 60_005])
    expect(second[0].version).toBe('brain.Event:2')
    expect(sizes.at(-1)).toBeLessThan(2000)
  })

  test('a folder without a name is refused', () => {
    expect(() => tensorBoard('')).toThrow('folder is not of the right kind')
  })
})
