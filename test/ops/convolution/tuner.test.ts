import { afterAll, describe, expect, test } from 'vitest'
import { DataError, WgradError } from '../../../src/base/errors.ts'
import { openGpuOn, useGpu, type Gpu } from '../../../src/gpu/device.ts'
import { BUFFER_USAGE } from '../../../src/gpu/flags.ts'
import { conv2d } from '../../../src/ops/conv2d.ts'
import { chooseKernel, exportChoices, importChoices, kernelFor } from '../../../src/ops/convolution/choices.ts'
import { defaultKernel, kernelName, type KernelVariant } from '../../../src/ops/convolution/families.ts'
import { passKey, PASSES, type ConvolutionSizes } from '../../../src/ops/convolution/sizes.ts'
import { gpuStopwatch, type Stopwatch } from '../../../src/ops/convolution/trial.ts'
import { tunedFile } from '../../../src/ops/convolution/tuned-file.ts'
import type { TunedTable } from '../../../src/ops/convolution/tuned-table.ts'
import { tune } from '../../../src/ops/convolution/tuner.ts'
import { nodePlatform } from '../../../src/platform/node/index.ts'
import type { Files, Platform } from '../../../src/platform/platform.ts'
import { scope } from '../../../src/tensor/scope.ts'
import { read, tensor, zeros } from '../../../src/tensor/read-write.ts'
import { expectClose } from '../../../src/testing/close.ts'
import { hashUniform } from '../../../src/testing/hash-uniform.ts'
import { reportLimits } from '../../helpers/limited.ts'
import { unknownPasses } from '../../helpers/unknown-passes.ts'

const SIZES: ConvolutionSizes = {
  N: 2,
  H: 6,
  W: 5,
  C: 10,
  P: 6,
  Q: 5,
  O: 40,
  R: 3,
  S: 3,
  STRIDE: 1,
  PAD: 1,
  dtype: 'f16',
}
const FORWARD = { pass: 'forward', sizes: SIZES } as const

/** Two kernels that are right, and that no adapter's rule takes for so few pixels. */
const TILES = [tile(64, 16, 8), tile(64, 16, 4)] as const
const [LARGE, SMALL] = TILES.map(kernelName)

function tile(side: number, TILE_K: number, thread: number, rows = side): KernelVariant {
  return {
    family: 'tile',
    rows,
    columns: side,
    constants: { TILE_M: side, TILE_N: side, TILE_K, THREAD_M: thread, THREAD_N: thread },
    slices: 'many',
  }
}

const open: Gpu[] = []
afterAll(() => open.forEach((gpu) => gpu.close()))

/** A GPU of its own on a disk in memory, by a clock that stands still: the machine may compile as slowly as it likes. */
async function openOn(disk: Map<string, string>, env: Readonly<Record<string, string>> = {}, now = () => 0) {
  const lines: string[] = []
  const files: Files = {
    ...nodePlatform.files,
    exists: async (path) => disk.has(path),
    readText: async (path) => disk.get(path) ?? '',
    async write(path, content) {
      if (env.READ_ONLY) throw new DataError(path, 'the file system is read-only')
      disk.set(path, String(content))
    },
  }
  const platform: Platform = {
    ...nodePlatform,
    files,
    env: (name) => ({ HOME: '/home/me', ...env })[name],
    now,
    log: (line) => void lines.push(line),
    status: undefined,
  }
  const gpu = await openGpuOn(platform)
  // No adapter for which a table is shipped, wherever the tests run.
  Object.assign(gpu, { identity: { device: 'test', driver: 'test 1.0' } })
  open.push(gpu)
  return { gpu, lines, file: tunedFile(gpu) ?? '' }
}

/** A stopwatch that runs everything and says what it is told to; what it was asked for is in `asked`. */
function fakeStopwatch(gpu: Gpu, times: Readonly<Record<string, number>>): Stopwatch & { readonly asked: string[] } {
  const real = gpuStopwatch(gpu)
  const asked: string[] = []
  return {
    asked,
    compile: (launches) => real.compile(launches),
    async time(name, work) {
      asked.push(name)
      await real.time(name, work)
      return times[name] ?? 10
    },
  }
}

function launchOnce(gpu: Gpu): void {
  useGpu(gpu)
  scope(() => void conv2d(zeros([2, 6, 5, 10], 'f16'), zeros([40, 3, 3, 10], 'f16'), { padding: 1 }))
}

const candidates = () => TILES

/** Expects that the faster of two variants is chosen for each pass of a convolution, and that none is refused. */
async function expectLargeChosen(gpu: Gpu, sizes: ConvolutionSizes): Promise<void> {
  const stopwatch = fakeStopwatch(gpu, { [LARGE]: 1 })
  const found = await tune({ force: true, candidates, convolutions: [sizes], stopwatch })
  expect(found.map(({ kernel, refused }) => [kernel, refused])).toEqual(Array(3).fill([LARGE, []]))
}

/** Time for everything that is wanted, on a processor that compiles slowly too. */
const PATIENT = 600

describe('tune', () => {
  test('ends when it is asked to, keeps what it found, and goes on the next time', async () => {
    const disk = new Map<string, string>()
    const { gpu, file } = await openOn(disk)
    launchOnce(gpu)
    scope(() => void conv2d(zeros([2, 7, 5, 10], 'f16'), zeros([40, 3, 3, 10], 'f16'), { padding: 1 }))
    const stopwatch = fakeStopwatch(gpu, { [SMALL]: 4 })
    const options = { force: true, candidates, stopwatch }
    expect(await tune({ ...options, stopped: () => stopwatch.asked.length > 0 })).toHaveLength(1)
    expect(Object.keys((JSON.parse(disk.get(file) ?? '') as { passes: object }).passes)).toHaveLength(1)
    expect(unknownPasses(gpu)).toHaveLength(1)
    expect(await tune(options)).toHaveLength(1)
    expect(unknownPasses(gpu)).toEqual([])
  })

  test('takes the fastest, and knows it from then on', async () => {
    const disk = new Map<string, string>()
    const { gpu, lines, file } = await openOn(disk)
    launchOnce(gpu)
    expect(unknownPasses(gpu)).toMatchObject([FORWARD])
    const rule = kernelName(defaultKernel(gpu, 'forward', SIZES))
    const proven = kernelName(defaultKernel(gpu, 'forward', SIZES, 'tile'))
    const stopwatch = fakeStopwatch(gpu, { [LARGE]: 8, [SMALL]: 4 })
    const found = await tune({ force: true, candidates, stopwatch })
    expect(found).toEqual([{ pass: passKey('forward', SIZES), kernel: SMALL, timeMs: 4, ruleMs: 10, refused: [] }])
    // Once to begin with, in five rounds those that are not hopeless, then what is right and whether this is.
    expect(stopwatch.asked).toEqual([
      rule,
      LARGE,
      SMALL,
      rule,
      LARGE,
      SMALL,
      ...Array(4).fill([LARGE, SMALL]).flat(),
      proven,
      SMALL,
    ])
    expect(kernelName(kernelFor('forward', SIZES))).toBe(SMALL)
    expect(unknownPasses(gpu)).toEqual([])
    expect(lines).toEqual([
      `tuning 1 kernels for ${gpu.name}, once, for 20.0 s at most (TUNE=0: not at all)`,
      expect.stringMatching(/^tuned in .*: one run of each takes 4.00 ms, with default kernels 10.0 ms$/),
    ])

    expect(file).toMatch(/^\/home\/me\/.cache\/wgrad\/kernels-[0-9a-f]{8}\.json$/)
    const table = JSON.parse(disk.get(file) ?? '') as TunedTable
    expect(table).toEqual({
      ...gpu.identity,
      kernels: expect.stringMatching(/^[0-9a-f]{8}$/),
      passes: { [passKey('forward', SIZES)]: { kernel: SMALL, timeMs: 4, ruleMs: 10 } },
    })

    const next = await openOn(disk)
    launchOnce(next.gpu)
    expect(kernelFor('forward', SIZES).family).toBe(defaultKernel(next.gpu, 'forward', SIZES).family)
    const again = fakeStopwatch(next.gpu, {})
    expect(await tune({ force: true, candidates, stopwatch: again })).toEqual([])
    expect(again.asked).toEqual([])
    expect(next.lines).toEqual([])
    expect(kernelName(kernelFor('forward', SIZES))).toBe(SMALL)
  })

  test('keeps what another process has found meanwhile', async () => {
    const disk = new Map<string, string>()
    const other = await openOn(disk)
    const { gpu, file } = await openOn(disk)
    const larger = { ...SIZES, N: 3 }
    const tuneFor = (sizes: ConvolutionSizes, stopwatch: Stopwatch) =>
      tune({ force: true, candidates, convolutions: [sizes], stopwatch })
    const otherStopwatch = fakeStopwatch(other.gpu, { [SMALL]: 4 })
    let during: Promise<unknown> | undefined
    const stopwatch = fakeStopwatch(gpu, { [LARGE]: 4 })
    await tuneFor(SIZES, {
      ...stopwatch,
      // Once this one has read the file, the other begins and ends.
      async compile(launches) {
        await stopwatch.compile(launches)
        useGpu(other.gpu)
        during ??= tuneFor(larger, otherStopwatch)
        await during
        useGpu(gpu)
      },
    })
    const { passes } = JSON.parse(disk.get(file) ?? '') as TunedTable
    const kernels = Object.fromEntries(Object.entries(passes).map(([pass, { kernel }]) => [pass, kernel]))
    expect(kernels).toEqual({
      ...Object.fromEntries(PASSES.map((pass) => [passKey(pass, SIZES), LARGE])),
      ...Object.fromEntries(PASSES.map((pass) => [passKey(pass, larger), SMALL])),
    })
  })

  describe('keeps a choice only if a whole step gets faster', () => {
    /** Tunes the three passes of SIZES, where each kernel SMALL wins alone; a step takes what `stepMs` says of the kernels. */
    async function tuned(stepMs: (kernels: Readonly<Record<string, string>>) => number) {
      let nowMs = 0
      const disk = new Map<string, string>()
      const { gpu, lines, file } = await openOn(disk, {}, () => nowMs)
      launchOnce(gpu)
      let steps = 0
      const found = await tune({
        force: true,
        gradients: true,
        candidates,
        stopwatch: fakeStopwatch(gpu, { [SMALL]: 4 }),
        step() {
          steps++
          const kernels = PASSES.map((pass) => [pass, kernelName(kernelFor(pass, SIZES))])
          nowMs += stepMs(Object.fromEntries(kernels) as Record<string, string>)
        },
      })
      const kernels = found.map(({ pass, kernel }) => [pass.split(' ')[0], kernel] as const)
      const rules = PASSES.map((pass) => [pass, kernelName(defaultKernel(gpu, pass, SIZES))] as const)
      const told = lines.filter((line) => line.startsWith('tune: a step'))
      const { passes } = JSON.parse(disk.get(file) ?? '') as TunedTable
      for (const { pass, kernel } of found) expect(passes[pass].kernel).toBe(kernel)
      for (const pass of PASSES) {
        expect(kernelName(kernelFor(pass, SIZES))).toBe(Object.fromEntries(kernels)[pass])
      }
      return { gpu, found, kernels: Object.fromEntries(kernels), rules: Object.fromEntries(rules), told, steps }
    }

    test('with all of them', async () => {
      const { kernels, told, steps } = await tuned((now) => (now.forward === SMALL ? 20 : 30))
      expect(kernels).toEqual(Object.fromEntries(PASSES.map((pass) => [pass, SMALL])))
      expect(told).toEqual(['tune: a step takes 20.0 ms with 3 kernels, 30.0 ms without; kept'])
      // Two turns of one step, in which it is known how long it takes, then four of three (50 ms).
      expect(steps).toBe(2 * (1 + 1 + 4 * 3))
    })

    test('with none of them', async () => {
      const { found, kernels, rules, told } = await tuned((now) => (Object.values(now).includes(SMALL) ? 29.8 : 30))
      expect(kernels).toEqual(rules)
      expect(told).toEqual([
        'tune: a step takes 29.8 ms with 3 kernels, 30.0 ms without; taken back',
        'tune: a step takes 29.8 ms with those of forward, 30.0 ms without; taken back',
        'tune: a step takes 29.8 ms with those of backward-input, 30.0 ms without; taken back',
        'tune: a step takes 29.8 ms with those of backward-weight, 30.0 ms without; taken back',
      ])
      for (const { timeMs, ruleMs, refused } of found) {
        expect({ timeMs, ruleMs, refused }).toEqual({
          timeMs: 10,
          ruleMs: 10,
          refused: [`${SMALL} makes no step faster`],
        })
      }
    })

    test('with those of the passes that gain', async () => {
      const { kernels, rules } = await tuned(
        (now) => 30 + (now.forward === SMALL ? 20 : 0) - (now['backward-weight'] === SMALL ? 10 : 0),
      )
      expect(kernels).toEqual({ ...rules, 'backward-weight': SMALL })
    })
  })

  test('tries what matters most while there is time, and settles the rest by rule', async () => {
    let nowMs = 0
    const { gpu, lines, file } = await openOn(new Map(), {}, () => nowMs)
    launchOnce(gpu)
    const larger = { ...SIZES, N: 3 }
    const real = fakeStopwatch(gpu, { [SMALL]: 4 })
    const compiled: string[] = []
    const stopwatch: Stopwatch = {
      async compile(launches) {
        compiled.push(...launches.map(({ options }) => options.detail ?? ''))
        nowMs += 1000
      },
      async time(name, work) {
        nowMs += 500
        return real.time(name, work)
      },
    }
    const many = () => Array.from({ length: 12 }, () => TILES).flat()
    const found = await tune({ force: true, candidates: many, stopwatch, seconds: 4, convolutions: [SIZES, larger] })
    // After two seconds nothing more is compiled, after four nothing more measured.
    expect(new Set(compiled)).toEqual(new Set(['[3,6,5,10]→[3,6,5,40] 3×3']))
    expect(found.map(({ pass, kernel }) => [pass, kernel])).toEqual([[passKey('forward', larger), SMALL]])
    expect(lines[lines.length - 1]).toMatch(/; 5 with less arithmetic use default kernels until a later search$/)
    // A checkpoint has them all, the file only what was measured.
    expect(Object.keys(exportChoices(gpu))).toHaveLength(6)
    expect(kernelName(kernelFor('forward', SIZES))).toBe(kernelName(defaultKernel(gpu, 'forward', SIZES)))
    expect(file).not.toBe('')
    // Until a later search, which goes on with them.
    expect(unknownPasses(gpu)).toHaveLength(5)
    expect(await tune({ force: true, candidates, stopwatch, seconds: 1000 })).toHaveLength(5)
    expect(unknownPasses(gpu)).toEqual([])
  })

  describe('before a fit', () => {
    /** Searches before fits of so many steps of 10 ms; compiling takes a second, and a measurement 0.1. */
    async function searches(...fits: readonly number[]) {
      let nowMs = 0
      const { gpu, lines } = await openOn(new Map(), {}, () => nowMs)
      Object.assign(gpu, { software: false })
      launchOnce(gpu)
      const real = fakeStopwatch(gpu, { [SMALL]: 4 })
      const stopwatch: Stopwatch = {
        async compile() {
          nowMs += 1000
        },
        async time(name, work) {
          nowMs += 100
          return real.time(name, work)
        },
      }
      const step = () => void (nowMs += 10)
      const found: number[] = []
      for (const steps of fits) {
        found.push((await tune({ gradients: true, candidates, stopwatch, step, steps })).length)
      }
      return { gpu, found, limits: lines.flatMap((line) => /for ([\d.]+ s) at most/.exec(line)?.[1] ?? []) }
    }

    test('takes half the time of its steps, and none before a few', async () => {
      expect(await searches(399)).toMatchObject({ found: [0], limits: [] })
      expect(await searches(400)).toMatchObject({ found: [1], limits: ['2.00 s'] })
      expect(await searches(3000)).toMatchObject({ found: [3], limits: ['15.0 s'] })
    })

    test('goes on before the next, all together for 20 s', async () => {
      const { gpu, found, limits } = await searches(10, 400, 100_000)
      expect(found.slice(0, 2)).toEqual([0, 1])
      expect(found[2]).toBe(2)
      expect(limits).toEqual(['2.00 s', expect.stringMatching(/^1[5-8]\.\d s$/)])
      expect(unknownPasses(gpu)).toEqual([])
    })

    test('leaves default kernels where it does not begin, which a checkpoint lists', async () => {
      const { gpu } = await searches(10)
      const names = PASSES.map((pass) => [passKey(pass, SIZES), kernelName(defaultKernel(gpu, pass, SIZES))])
      expect(exportChoices(gpu)).toEqual(Object.fromEntries(names))
      // A fit that is continued from one has them for good.
      importChoices(exportChoices(gpu), gpu)
      expect(unknownPasses(gpu)).toEqual([])
    })

    test('follows a family that is proven meanwhile', async () => {
      const { gpu } = await searches(10)
      const other = gpu.family === 'tile' ? 'broadcast' : 'tile'
      gpu.family = other
      expect(await tune({ gradients: true, candidates, step: () => {}, steps: 10 })).toEqual([])
      const names = PASSES.map((pass) => [passKey(pass, SIZES), kernelName(defaultKernel(gpu, pass, SIZES, other))])
      expect(exportChoices(gpu)).toEqual(Object.fromEntries(names))
    })

    test('takes as long as it is told', async () => {
      const { gpu } = await searches(10)
      const stopwatch = fakeStopwatch(gpu, { [SMALL]: 4 })
      const options = { gradients: true, candidates, stopwatch, step: () => {}, steps: 10 }
      expect(await tune({ ...options, seconds: PATIENT })).toHaveLength(3)
    })
  })

  test('keeps what the rule says unless something is clearly faster', async () => {
    const { gpu } = await openOn(new Map())
    launchOnce(gpu)
    const rule = kernelName(defaultKernel(gpu, 'forward', SIZES))
    const [found] = await tune({
      force: true,
      candidates,
      stopwatch: fakeStopwatch(gpu, { [LARGE]: 9.8, [SMALL]: 9.6 }),
    })
    expect(found).toMatchObject({ kernel: rule, timeMs: 10 })
  })

  test('refuses what is wrong, what writes beyond its result and what does not compile, and says so', async () => {
    const { gpu, lines } = await openOn(new Map())
    launchOnce(gpu)
    const half = tile(32, 32, 4, 64)
    const broken = tile(32, 12, 4)
    const stopwatch = fakeStopwatch(gpu, { [kernelName(half)]: 1, [LARGE]: 2, [SMALL]: 3 })
    const spoilt: Stopwatch = {
      compile: (launches) => stopwatch.compile(launches),
      async time(name, work) {
        let end: { view: ReturnType<typeof zeros>['view'] } | undefined
        const timeMs = await stopwatch.time(name, (record) =>
          work((shader, bindings, options) => {
            end = bindings.y
            record(shader, bindings, options)
          }),
        )
        if (name === LARGE && end) gpu.queue.write(end.view.buffer, end.view.offset + end.view.size, new Uint32Array(1))
        return timeMs
      },
    }
    const [found] = await tune({ force: true, candidates: () => [half, broken, ...TILES], stopwatch: spoilt })
    expect(found.kernel).toBe(SMALL)
    expect(found.refused).toEqual([
      expect.stringMatching(`^${kernelName(broken)} does not run: shaders/conv2d/forward-tile.wgsl`),
      expect.stringMatching(`^${kernelName(half)} computes NaN where -?[0-9.e-]+ is right$`),
      `${LARGE} fails: ${LARGE}: writes beyond its result`,
    ])
    const told = lines.filter((line) => line.startsWith('tune: '))
    expect(told.length).toBe(3)
    expect(told[1]).toContain(`${kernelName(half)} is not used for ${passKey('forward', SIZES)}: it computes NaN`)
  })

  test('refuses what cannot even be given to the driver, and later errors of the GPU are seen', async () => {
    const { gpu } = await openOn(new Map())
    launchOnce(gpu)
    const unknown: KernelVariant = { ...TILES[0], constants: { ...TILES[0].constants, TILE_X: 1 } }
    const [found] = await tune({
      force: true,
      candidates: () => [unknown, ...TILES],
      stopwatch: fakeStopwatch(gpu, { [LARGE]: 2, [SMALL]: 3 }),
    })
    expect(found.kernel).toBe(LARGE)
    expect(found.refused).toEqual([expect.stringMatching(/ does not run: .*does not declare the constant TILE_X/)])
    gpu.device.createBuffer({ size: 16, usage: BUFFER_USAGE.MAP_READ | BUFFER_USAGE.STORAGE })
    await expect(gpu.queue.finished()).rejects.toThrow(WgradError)
  })

  test('takes the family tile where the default of the family matrix is wrong', async () => {
    const { gpu, lines } = await openOn(new Map())
    gpu.family = 'matrix'
    const sizes = { ...SIZES, C: 16 }
    const proven = kernelName(defaultKernel(gpu, 'forward', sizes, 'tile'))
    const rule = kernelName(defaultKernel(gpu, 'forward', sizes))
    expect(rule).toMatch(/^matrix/)
    const real = fakeStopwatch(gpu, { [rule]: 3, [proven]: 6 })
    const wrong: Stopwatch = {
      compile: (launches) => real.compile(launches),
      async time(name, work) {
        let result: { view: ReturnType<typeof zeros>['view'] } | undefined
        const timeMs = await real.time(name, (record) =>
          work((shader, bindings, options) => {
            result = bindings.y
            record(shader, bindings, options)
          }),
        )
        if (name === rule && result) gpu.queue.write(result.view.buffer, result.view.offset, new Uint32Array([0x7bff]))
        return timeMs
      },
    }
    useGpu(gpu)
    const [found] = await tune({ force: true, candidates: () => [], stopwatch: wrong, convolutions: [sizes] })
    expect(found).toMatchObject({ kernel: proven, timeMs: 6, ruleMs: 3 })
    expect(found.refused).toEqual([expect.stringMatching(`^${rule} computes 65504 where `)])
    expect(lines.some((line) => line.startsWith('tune: matrix'))).toBe(true)
    // What was not measured does without them too.
    expect(gpu.family).toBe('tile')
  })

  test('chooses for all passes of given sizes, by the real clock', async () => {
    const { gpu } = await openOn(new Map(), {}, nodePlatform.now)
    const found = await tune({ force: true, seconds: PATIENT, candidates, convolutions: [SIZES, SIZES] })
    expect(found.map(({ pass }) => pass.split(' ')[0])).toEqual(['forward', 'backward-input', 'backward-weight'])
    for (const row of found) {
      expect(row.refused).toEqual([])
      expect(row.timeMs).toBeGreaterThan(0)
      expect(row.timeMs).toBeLessThanOrEqual(row.ruleMs)
    }
    expect(Object.keys(exportChoices(gpu)).sort()).toEqual(found.map(({ pass }) => pass).sort())
  })

  test('checks results that do not fill their buffers', async () => {
    const { gpu } = await openOn(new Map())
    const odd: ConvolutionSizes = { ...SIZES, N: 1, H: 3, W: 3, P: 3, Q: 3, C: 3, O: 3 }
    await expectLargeChosen(gpu, odd)
  })

  test('tries results as large as a binding may be', async () => {
    const { gpu } = await openOn(new Map())
    // y and dy of 2 MiB.
    const sizes: ConvolutionSizes = { ...SIZES, N: 4, H: 64, W: 64, P: 64, Q: 64, C: 4, O: 64, R: 1, S: 1, PAD: 0 }
    reportLimits(gpu.device, { maxStorageBufferBindingSize: 2 ** 21 })
    await expectLargeChosen(gpu, sizes)
  })

  test('adds the gradients of what only went forward', async () => {
    const { gpu } = await openOn(new Map())
    launchOnce(gpu)
    const found = await tune({
      force: true,
      gradients: true,
      candidates: () => [],
      stopwatch: fakeStopwatch(gpu, {}),
    })
    expect(found.map(({ pass }) => pass.split(' ')[0])).toEqual(['forward', 'backward-input', 'backward-weight'])
  })

  test('leaves buffers as it found them', async () => {
    const { gpu } = await openOn(new Map(), {}, nodePlatform.now)
    const before = gpu.buffers.usedBytes
    await tune({ force: true, candidates: () => [], convolutions: [SIZES] })
    expect(gpu.buffers.usedBytes).toBe(before)
  })

  test.each([
    ['software', { software: true }, {}, false],
    ['a family was asked for', { software: false, familyGiven: true }, {}, false],
    ['TUNE=0', { software: false }, { TUNE: '0' }, true],
  ])('does nothing: %s', async (_why, adapter, env, force) => {
    const disk = new Map<string, string>()
    const { gpu, lines, file } = await openOn(disk, env)
    Object.assign(gpu, adapter)
    disk.set(file, 'damaged')
    launchOnce(gpu)
    expect(await tune({ force })).toEqual([])
    expect(lines).toEqual([])
    expect(unknownPasses(gpu)).toMatchObject([FORWARD])
  })
})

describe('the file', () => {
  test.each([
    ['is not JSON', (text: string) => text.slice(0, 40)],
    [
      'belongs to another adapter, driver or version',
      (text: string) => text.replace(/"kernels": "[0-9a-f]{8}"/, '"kernels": "00000000"'),
    ],
    ['has no passes', (text: string) => text.replace('"passes"', '"other"')],
    [
      `has no valid entry for '${passKey('forward', SIZES)}'`,
      (text: string) => text.replace(/"kernel": "[^"]*"/, '"kernel": null'),
    ],
  ])('that %s is measured again', async (what, damage) => {
    const disk = new Map<string, string>()
    const first = await openOn(disk)
    launchOnce(first.gpu)
    await tune({ force: true, candidates, stopwatch: fakeStopwatch(first.gpu, { [SMALL]: 4 }) })
    const written = disk.get(first.file) ?? ''
    disk.set(first.file, damage(written))
    const { gpu, lines, file } = await openOn(disk)
    launchOnce(gpu)
    expect(await tune({ force: true, candidates, stopwatch: fakeStopwatch(gpu, { [SMALL]: 4 }) })).toHaveLength(1)
    expect(lines[0]).toBe(`tune: ${file}: ${what}; its kernels are measured again`)
    expect(disk.get(file)).toBe(written)
  })

  test('that names a kernel there is not is measured again', async () => {
    const disk = new Map<string, string>()
    const first = await openOn(disk)
    launchOnce(first.gpu)
    await tune({ force: true, candidates, stopwatch: fakeStopwatch(first.gpu, { [SMALL]: 4 }) })
    disk.set(first.file, (disk.get(first.file) ?? '').replace(SMALL, 'tile 1×1'))
    const { gpu } = await openOn(disk)
    launchOnce(gpu)
    expect(await tune({ force: true, candidates, stopwatch: fakeStopwatch(gpu, {}) })).toHaveLength(1)
  })

  test('that cannot be written costs a line', async () => {
    const { gpu, lines, file } = await openOn(new Map(), { READ_ONLY: '1' })
    launchOnce(gpu)
    expect(await tune({ force: true, candidates: () => [], stopwatch: fakeStopwatch(gpu, {}) })).toHaveLength(1)
    expect(lines).toContain(`tune: ${file}: the file system is read-only; the next run measures again`)
  })

  test('lies where the settings say, or nowhere', async () => {
    const at = async (env: Record<string, string>) => (await openOn(new Map(), env)).file.replace(/kernels-.*/, '')
    expect(await at({ XDG_CACHE_HOME: '/cache' })).toBe('/cache/wgrad/')
    expect(await at({ XDG_CACHE_HOME: '/cache', WGRAD_CACHE: '/mine' })).toBe('/mine/')
    expect(await at({ HOME: undefined as never })).toBe('')
  })
})

describe('choices', () => {
  test('are what is launched', async () => {
    const { gpu } = await openOn(new Map())
    const x = tensor(hashUniform(600, 1, -1, 1), [2, 6, 5, 10])
    const weight = tensor(hashUniform(3600, 2, -1, 1), [40, 3, 3, 10])
    const pass = { pass: 'forward', sizes: { ...SIZES, dtype: 'f32' } } as const
    const byRule = await read(scope(() => conv2d(x, weight, { padding: 1 })))
    const before = gpu.pipelines.count
    chooseKernel(gpu, pass, TILES[1])
    expectClose(await read(scope(() => conv2d(x, weight, { padding: 1 }))), byRule, 'f32')
    expect(gpu.pipelines.count).toBe(before + 1)
  })

  test('go into a checkpoint and out of it', async () => {
    const first = await openOn(new Map())
    chooseKernel(first.gpu, FORWARD, TILES[1])
    const saved = exportChoices(first.gpu)
    expect(saved).toEqual({ [passKey('forward', SIZES)]: SMALL })
    const { gpu } = await openOn(new Map())
    chooseKernel(gpu, FORWARD, TILES[0])
    expect(kernelName(kernelFor('forward', SIZES))).toBe(LARGE)
    importChoices(saved, gpu)
    expect(kernelName(kernelFor('forward', SIZES))).toBe(SMALL)
    importChoices({ [passKey('forward', SIZES)]: 'tile 1×1' }, gpu)
    expect(kernelFor('forward', SIZES).family).toBe(defaultKernel(gpu, 'forward', SIZES).family)
    expect(unknownPasses(gpu)).toMatchObject([FORWARD])
  })
})
