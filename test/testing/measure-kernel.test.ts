import { describe, expect, test } from 'vitest'
import { currentGpu, openGpuOn, useGpu } from '../../src/gpu/device.ts'
import { registerShader } from '../../src/gpu/register-shader.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import { elementwise, empty, launch } from '../../src/tensor/launch.ts'
import { zeros } from '../../src/tensor/read-write.ts'
import { KernelOperands } from '../../src/testing/kernel-operands.ts'
import { measureKernel, proveKernel, rounding, type PreparedKernel } from '../../src/testing/measure-kernel.ts'
import { measurePeaks } from '../../src/testing/peaks.ts'
import { openTestGpu } from '../helpers/gpu.ts'

// Memory as a program has it: new memory is zero, used memory holds what was computed before.
await openTestGpu({ poison: false })

/** y = x from element FIRST on, in vectors of four; what is before it is not written. */
const shader = registerShader(
  'test/copy-from',
  `// @shape VECTORS
// @const FIRST:u32
@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i >= FIRST && i < shape.VECTORS) { y[i] = x[i]; }
}`,
)

function copyFrom(FIRST: number, changed: Partial<PreparedKernel> = {}) {
  return {
    name: 'copy',
    prepare(operands: KernelOperands): PreparedKernel {
      const x = operands.random('x', [64, 64], 'f32')
      return {
        flops: 0,
        bytes: 0,
        run() {
          const y = empty(x.tensor)
          launch(shader, { x: x.tensor, y }, { ...elementwise(y), constants: { FIRST } })
          return { y }
        },
        checks: { y: { at: (i) => x.at(i), allowed: rounding('f32') } },
        ...changed,
      }
    },
  }
}

async function prove(FIRST: number, changed: Partial<PreparedKernel> = {}): Promise<number> {
  const operands = new KernelOperands()
  try {
    return await proveKernel('copy', copyFrom(FIRST, changed).prepare(operands), operands)
  } finally {
    operands.close()
  }
}

describe('proveKernel', () => {
  test('takes no numbers of an earlier kernel for those of one that writes nothing', async () => {
    expect(await prove(0)).toBe(0)
    // Its result is in the memory of the one before.
    await expect(prove(2 ** 20)).rejects.toThrow(/^copy: y is wrong by NaN, .* is NaN or was never written, not /)
  })

  test('sees one NaN among numbers that are right', async () => {
    // The first vector alone, of which the first element is among those that are checked.
    await expect(prove(1)).rejects.toThrow('element 0 is NaN or was never written, not ')
  })

  test.each<[string, Partial<PreparedKernel>, string]>([
    ['no checks', { checks: {} }, 'copy: checks is not of the right kind'],
    [
      'a check without a tolerance',
      { checks: { y: { at: () => 1 } as never } },
      'copy: checks is not of the right kind',
    ],
    ['a check of another result', { checks: { z: { at: () => 1, allowed: 1 } } }, 'copy: the kernel makes no z'],
    ['a result that is no tensor', { run: () => ({ y: 1 }) as never }, 'copy: y is not of the right kind'],
    ['a result without a name', { run: () => zeros([4]) as never }, 'copy: the result of run is not of the right kind'],
    ['no result', { run: () => undefined as never }, 'copy: the result of run is not of the right kind'],
    ['bytes that are no number', { bytes: '1' as never }, 'copy: bytes is not of the right kind'],
  ])('refuses %s', async (_what, changed, message) => {
    await expect(prove(0, changed)).rejects.toThrow(message)
  })

  test('refuses a case that prepares nothing', async () => {
    await expect(measureKernel(currentGpu(), undefined as never)).rejects.toThrow(
      'measureKernel: item is not of the right kind',
    )
    const operands = new KernelOperands()
    await expect(proveKernel('copy', undefined as never, operands)).rejects.toThrow(
      'copy: the result of prepare is not',
    )
  })
})

test('nothing is timed on a GPU that operations do not run on, or without launches', async () => {
  const timed = await openGpuOn(nodePlatform, { profile: true })
  const other = await openGpuOn(nodePlatform)
  try {
    const expected = 'operations do not run on the GPU that was given'
    await expect(measureKernel(timed, copyFrom(0))).rejects.toThrow(`measureKernel: ${expected}`)
    await expect(measurePeaks(timed)).rejects.toThrow(`measurePeaks: ${expected}`)
    await expect(measureKernel(undefined as never, copyFrom(0))).rejects.toThrow(`measureKernel: ${expected}`)
    await expect(measureKernel(other, copyFrom(0))).rejects.toThrow('the GPU was opened without a profiler')
    useGpu(timed)
    await expect(measureKernel(timed, copyFrom(0), { rounds: 0 })).rejects.toThrow('rounds is out of range')
    await expect(measurePeaks(timed, 0)).rejects.toThrow('rounds is out of range')
    const operands = new KernelOperands()
    const { tensor, at } = operands.random('x', [64, 64], 'f32')
    const idle = copyFrom(0, { run: () => ({ y: tensor }), checks: { y: { at, allowed: 0 } } })
    await expect(measureKernel(timed, idle, { rounds: 1 })).rejects.toThrow('copy: nothing is launched')
  } finally {
    other.close()
    timed.close()
  }
})
