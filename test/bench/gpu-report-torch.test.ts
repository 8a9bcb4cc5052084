import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readTorch } from '../../bench/gpu-report/torch.ts'
import type { Row } from '../../bench/kernels/harness.ts'
import type { StepRow } from '../../bench/steps/step.ts'

test("PyTorch's figures are read as bench/README.md describes them", () => {
  const text = readFileSync(new URL('../../bench/README.md', import.meta.url), 'utf8')
  const lines = text.split('```').find((block) => block.includes('"torch"')) ?? ''
  const faster = lines.replace('"imagesPerSecond": 1000', '"imagesPerSecond": 1200')
  const torch = readTorch(`a warning\n${lines}${faster}`)
  expect(torch.device).toBe('NVIDIA H100, PyTorch 2.9.0, CUDA 12.8')
  const ms = (name: string) => torch.kernelMs({ name } as Row)
  expect(ms('matmul 1024×1024×1024 f16')).toBe(0.01)
  expect(ms('matmul 1024×1024×1024 f32')).toBeUndefined()
  const passes = ['forward', 'backward-input', 'backward-weight']
  expect(passes.map((pass) => ms(`conv2d/${pass} [64,32,32,64]→[64,32,32,64] 3×3 f16`))).toEqual([0.1, 0.1, 0.2])
  expect(ms('conv2d/forward [64,32,32,64]→[64,16,16,64] 3×3 /2 f16')).toBeUndefined()
  const step = { model: 'xresnet18', batchSize: 64, size: 128, precision: 'mixed' } as StepRow
  expect(torch.imagesPerSecond(step)).toBe(1200)
  expect(torch.imagesPerSecond({ ...step, precision: 'f32' })).toBeUndefined()
})
