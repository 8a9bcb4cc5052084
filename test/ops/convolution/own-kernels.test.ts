/** Kernels that programs register: how they are proven (test/examples/own-convolution.mjs). */
import { afterAll, expect, test } from 'vitest'
import { openGpuOn, type Gpu } from '../../../src/gpu/device.ts'
import { registerShader } from '../../../src/gpu/register-shader.ts'
import { registerConvolutionKernel } from '../../../src/ops/convolution/own-kernels.ts'
import type { ConvolutionSizes } from '../../../src/ops/convolution/sizes.ts'
import type { Stopwatch } from '../../../src/ops/convolution/trial.ts'
import { tune } from '../../../src/ops/convolution/tuner.ts'
import { nodePlatform } from '../../../src/platform/node/index.ts'
import type { Files } from '../../../src/platform/platform.ts'
import { launch } from '../../../src/tensor/launch.ts'
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

/** A GPU as of a new process, on a disk in memory. */
async function openOn(disk: Map<string, string>, now = nodePlatform.now): Promise<Gpu> {
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
  await expect(prove('one-slice')).rejects.toThrow('is NaN, not')
  const [, , weight] = await tune({ convolutions: [SIZES], force: true, stopwatch: favouring('one-slice') })
  expect(weight.refused.join('; ')).toMatch(/one-slice 16×16 computes NaN where [\d.-]+ is right/)
  expect(weight.kernel).not.toContain('one-slice')
})
