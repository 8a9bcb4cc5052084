import { afterAll, expect, test } from 'vitest'
import { openGpu } from '../../src/browser.ts'
import { registerShader } from '../../src/gpu/register-shader.ts'
import { conv2d } from '../../src/ops/conv2d.ts'
import { registerConvolutionKernel } from '../../src/ops/convolution/own-kernels.ts'
import { tune } from '../../src/ops/convolution/tuner.ts'
import { tunedFile } from '../../src/ops/convolution/tuned-file.ts'
import { scope } from '../../src/tensor/scope.ts'
import { zeros } from '../../src/tensor/read-write.ts'

const emptied = () =>
  navigator.storage
    .getDirectory()
    .then((root) => root.removeEntry('.wgrad', { recursive: true }))
    .catch(() => undefined)
afterAll(emptied)

/** One visit: a GPU of its own, on which a convolution is tuned. @returns number of passes that were measured */
async function visit(): Promise<number> {
  const gpu = await openGpu()
  Object.assign(gpu.platform, { log: () => {} })
  scope(() => void conv2d(zeros([1, 4, 4, 4]), zeros([4, 3, 3, 4]), { padding: 1 }))
  const { length } = await tune({ force: true, seconds: 600, candidates: () => [] })
  expect(await gpu.platform.files.exists(tunedFile(gpu)!)).toBe(true)
  expect(gpu.identity.driver).toBe(navigator.userAgent)
  gpu.close()
  return length
}

/** A kernel that writes the same everywhere: it is compared, and refused. */
function register(): void {
  const shader = registerShader(
    'test/visitor',
    /* wgsl */ `
// @shape N H W C P Q O R S STRIDE PAD
@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
  for (var i = thread; i < arrayLength(&y); i += 64u) { y[i] = store4(load4(x[0]) + load4(weight[0]) + f32(shape.N)); }
}`,
  )
  registerConvolutionKernel({ name: 'visitor', pass: 'forward', shader, rows: 64, columns: 64 })
}

test('kernels that one visit chose are known to the next', async () => {
  await emptied()
  expect([await visit(), await visit()]).toEqual([1, 0])
  await emptied()
  expect(await visit()).toBe(1)
})

test('a kernel that a page registers is tried in the next visit, and in that only', async () => {
  await emptied()
  expect(await visit()).toBe(1)
  register()
  expect([await visit(), await visit()]).toEqual([1, 0])
})
