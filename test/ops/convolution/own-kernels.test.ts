/** Kernels that programs register: how they are proven, and when the tuner tries them (test/examples/own-convolution.mjs). */
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { openGpuOn, type Gpu } from '../../../src/gpu/device.ts'
import { registerShader } from '../../../src/gpu/register-shader.ts'
import { conv2d } from '../../../src/ops/conv2d.ts'
import { exportChoices, importChoices, kernelFor } from '../../../src/ops/convolution/choices.ts'
import { candidateKernels, kernelName, ownKernels } from '../../../src/ops/convolution/families.ts'
import { registerConvolutionKernel } from '../../../src/ops/convolution/own-kernels.ts'
import { passKey, PASSES, type ConvolutionPass, type ConvolutionSizes } from '../../../src/ops/convolution/sizes.ts'
import type { Stopwatch } from '../../../src/ops/convolution/trial.ts'
import type { TunedTable } from '../../../src/ops/convolution/tuned-table.ts'
import { tune, type TuneOptions } from '../../../src/ops/convolution/tuner.ts'
import { nodePlatform } from '../../../src/platform/node/index.ts'
import type { Files } from '../../../src/platform/platform.ts'
import { launch } from '../../../src/tensor/launch.ts'
import { zeros } from '../../../src/tensor/read-write.ts'
import { scope } from '../../../src/tensor/scope.ts'
import { convolutionCase } from '../../../src/testing/convolution-case.ts'
import { KernelOperands } from '../../../src/testing/kernel-operands.ts'
import { proveKernel } from '../../../src/testing/measure-kernel.ts'

const SIZES: ConvolutionSizes = {
  ...{ N: 2, H: 8, W: 8, C: 8, P: 8, Q: 8, O: 8, R: 3, S: 3, STRIDE: 1, PAD: 1 },
  dtype: 'f32',
}

/** A right gradient of the weight, one number per thread; `skipped` are the slices that it leaves out. */
const weightKernel = (skipped: string) => /* wgsl */ `
// @shape N H W C P Q O R S STRIDE PAD SLICES
@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  if (${skipped}) { return; }
  let vectors = (shape.C + 3u) / 4u;
  let columns = shape.R * shape.S * vectors;
  let o = group.y * 16u + thread / 4u;
  let column = group.x * 4u + thread % 4u;
  if (o >= shape.O || column >= columns) { return; }
  var sum = vec4f();
  let pixels = shape.N * shape.P * shape.Q;
  // All of them in the first slice.
  for (var pixel = 0u; pixel < select(pixels, 0u, group.z > 0u); pixel++) {
    let h = pixel / shape.Q % shape.P * shape.STRIDE + column / vectors / shape.S - shape.PAD;
    let w = pixel % shape.Q * shape.STRIDE + column / vectors % shape.S - shape.PAD;
    if (h >= shape.H || w >= shape.W) { continue; }
    let at = (pixel / (shape.P * shape.Q) * shape.H + h) * shape.W + w;
    sum += load4(dy[pixel * ((shape.O + 3u) / 4u) + o / 4u])[o % 4u] * load4(x[at * vectors + column % vectors]);
  }
  dw[(group.z * shape.O + o) * columns + column] = sum;
}`

/** Times kernels of a name as the fastest; the results are proven as always. */
function favouring(name: string, seen: string[] = []): Stopwatch {
  return {
    compile: async () => {},
    async time(kernel, work) {
      seen.push(kernel)
      scope(() => work(launch))
      return kernel.startsWith(name) ? 1 : 2
    },
  }
}

const open: Gpu[] = []
afterAll(() => open.forEach((gpu) => gpu.close()))

/** A GPU as of a new process, on a disk in memory, by a clock that stands still unless `now` is another. */
async function openOn(disk: Map<string, string>, now = () => 0): Promise<Gpu> {
  const files: Files = {
    ...nodePlatform.files,
    exists: async (path) => disk.has(path),
    readText: async (path) => disk.get(path) ?? '',
    write: async (path, content) => void disk.set(path, String(content)),
  }
  const env = (name: string) => ({ HOME: '/home/me' })[name]
  const gpu = await openGpuOn({ ...nodePlatform, files, env, now, log: () => {}, status: undefined })
  // No adapter for which a table is shipped, wherever the tests run.
  Object.assign(gpu, { identity: { device: 'test', driver: 'test 1.0' } })
  open.push(gpu)
  return gpu
}

async function prove(kernel: string): Promise<number> {
  const item = convolutionCase('backward-weight', SIZES, kernel)
  const operands = new KernelOperands()
  try {
    return await proveKernel(item.name, item.prepare(operands), operands)
  } finally {
    operands.close()
  }
}

test('a gradient of the weight that leaves slices unwritten is refused, though new memory holds zeros', async () => {
  await openOn(new Map())
  for (const [name, skipped] of [
    ['all-slices', 'false'],
    ['one-slice', 'group.z > 0u'],
  ]) {
    const shader = registerShader(`test/${name}`, weightKernel(skipped))
    registerConvolutionKernel({ name, pass: 'backward-weight', shader, rows: 16, columns: 16 })
  }
  expect(await prove('all-slices')).toBeLessThan(1e-3)
  await expect(prove('one-slice')).rejects.toThrow('is NaN or was never written, not')
  const [, , weight] = await tune({ convolutions: [SIZES], force: true, stopwatch: favouring('one-slice') })
  expect(weight.refused.join('; ')).toMatch(/one-slice 16×16 computes NaN where [\d.-]+ is right/)
  expect(weight.kernel).not.toContain('one-slice')
})

describe('a kernel that is registered when passes have been chosen for', () => {
  const KEYS = PASSES.map((pass) => passKey(pass, SIZES))
  const running = () => PASSES.map((pass) => kernelName(kernelFor(pass, SIZES)))
  /** Tunes as before a fit: every pass of what has gone forward. */
  const fit = async (stopwatch: Stopwatch, options: TuneOptions = {}) => {
    scope(() => void conv2d(zeros([2, 8, 8, 8]), zeros([8, 3, 3, 8]), { padding: 1 }))
    const found = await tune({ force: true, gradients: true, candidates: own, stopwatch, ...options })
    return found.map(({ pass, kernel }) => [pass, kernel] as const)
  }
  /** The proven kernel and those of programs. */
  const own = (gpu: Gpu, pass: ConvolutionPass, sizes: ConvolutionSizes) =>
    candidateKernels(gpu, pass, sizes).filter((kernel) => kernel.own || kernelName(kernel) === TILE)
  const TILE = 'tile 32×32×16, 4×4 a thread'
  let number = 0
  /** Registers a right kernel of the weight for sizes of 3×3. */
  function register(): string {
    const name = `late-${++number}`
    const shader = registerShader(`test/${name}`, weightKernel('false'))
    const takes = ({ R }: ConvolutionSizes) => R === 3
    registerConvolutionKernel({ name, pass: 'backward-weight', shader, rows: 16, columns: 16, takes })
    return name
  }
  // Those of a test are not those of the next.
  beforeEach(() => void ownKernels.splice(0))

  test('is tried at the next fit, for the passes that it takes, and both choices are stored', async () => {
    const disk = new Map<string, string>()
    await openOn(disk)
    expect(await fit(favouring(TILE))).toEqual(KEYS.map((key) => [key, TILE]))
    expect(await fit(favouring(TILE))).toEqual([])

    const name = register()
    // Before the tuner runs nothing changes.
    expect(running()).toEqual([TILE, TILE, TILE])
    const asked: string[] = []
    expect(await fit(favouring(name, asked))).toEqual([[KEYS[2], `${name} 16×16`]])
    expect(asked).toContain(TILE)
    expect(running()).toEqual([TILE, TILE, `${name} 16×16`])
    expect(await fit(favouring(TILE))).toEqual([])
    const [text] = disk.values()
    const { passes } = JSON.parse(text) as TunedTable
    const kernels = Object.entries(passes).map(([key, { kernel }]) => [
      key.replace(/(late-\d) [0-9a-f]+$/, '$1 …'),
      kernel,
    ])
    expect(kernels).toEqual([...KEYS.map((key) => [key, TILE]), [`${KEYS[2]} beside ${name} …`, `${name} 16×16`]])

    // Another process, which registers it first; one that does not; and one that registers it later again.
    await openOn(disk)
    expect(await fit(favouring(TILE))).toEqual([])
    expect(running()[2]).toBe(`${name} 16×16`)
    const kernel = ownKernels.pop()!
    await openOn(disk)
    expect(await fit(favouring(TILE))).toEqual([])
    expect(running()[2]).toBe(TILE)
    ownKernels.push(kernel)
    expect(running()[2]).toBe(TILE)
    expect(await fit(favouring(TILE))).toEqual([])
    expect(running()[2]).toBe(`${name} 16×16`)
  })

  test('is tried in a process that knows the passes from the file', async () => {
    const disk = new Map<string, string>()
    await openOn(disk)
    await fit(favouring(TILE))
    const name = register()
    await openOn(disk)
    expect(await fit(favouring(name))).toEqual([[KEYS[2], `${name} 16×16`]])
    expect(running()).toEqual([TILE, TILE, `${name} 16×16`])
  })

  test('with another text is another kernel', async () => {
    const disk = new Map<string, string>()
    await openOn(disk)
    const name = register()
    expect((await fit(favouring(name))).at(-1)).toEqual([KEYS[2], `${name} 16×16`])
    ownKernels.pop()
    const kernel = { name, pass: 'backward-weight', rows: 16, columns: 16 } as const
    registerConvolutionKernel({ ...kernel, shader: registerShader(`test/${name}`, weightKernel('false')) })
    await openOn(disk)
    expect(await fit(favouring(TILE))).toEqual([])
    ownKernels.pop()
    const changed = registerShader(`test/${name}-changed`, `// Faster.${weightKernel('false')}`)
    registerConvolutionKernel({ ...kernel, shader: changed })
    await openOn(disk)
    expect(await fit(favouring(TILE))).toEqual([[KEYS[2], TILE]])
  })

  test('and loses leaves what was chosen, without a comparison of steps', async () => {
    await openOn(new Map())
    await fit(favouring(TILE))
    register()
    let steps = 0
    expect(await fit(favouring(TILE), { step: () => void steps++ })).toEqual([[KEYS[2], TILE]])
    expect([running(), steps]).toEqual([[TILE, TILE, TILE], 0])
  })

  test('and makes no step faster gives way to what was chosen', async () => {
    let nowMs = 0
    await openOn(new Map(), () => nowMs)
    await fit(favouring(TILE))
    const name = register()
    const step = () => void (nowMs += running()[2] === TILE ? 10 : 20)
    expect(await fit(favouring(name), { step })).toEqual([[KEYS[2], TILE]])
    expect(running()).toEqual([TILE, TILE, TILE])
  })

  test('and finds no time leaves what was chosen, and is tried at the next fit', async () => {
    let nowMs = 0
    await openOn(new Map(), () => nowMs)
    await fit(favouring(TILE))
    const name = register()
    const late = favouring(name)
    // Compiling takes all the time.
    expect(await fit({ ...late, compile: async () => void (nowMs += 60_000) })).toEqual([])
    expect(running()).toEqual([TILE, TILE, TILE])
    expect(await fit(late)).toEqual([[KEYS[2], `${name} 16×16`]])
  })

  test('does not change the kernels of a checkpoint', async () => {
    const gpu = await openOn(new Map())
    await fit(favouring(TILE))
    const saved = exportChoices(gpu)
    const resumed = await openOn(new Map())
    importChoices(saved, resumed)
    register()
    expect(await fit(favouring('late'))).toEqual([])
    expect(running()).toEqual([TILE, TILE, TILE])
  })
})
