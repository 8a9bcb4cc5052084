import { expect, test } from 'vitest'
import { commands } from 'vitest/browser'
import { openPageGpu } from './helpers/images.ts'
import { fitLosses, STEPS } from './helpers/parity.ts'

const { gpu } = await openPageGpu()

test(`xresnet18 in mixed precision has the losses of Node over ${STEPS} steps`, async () => {
  // Another process compiles and computes meanwhile.
  const inNode = commands.nodeLosses()
  // SwiftShader has no f16: halves are packed in pairs, and computed with in f32, as on Mesa's adapter.
  const [first] = await fitLosses(gpu.platform, 'f32', 1)
  const losses = await fitLosses(gpu.platform, 'mixed', STEPS)
  const node = await inNode
  expect(Math.abs(first / node.f32[0] - 1)).toBeLessThan(1e-4)
  expect(losses.length).toBe(STEPS)
  const apart = losses.map((loss, i) => Math.abs(loss / node.mixed[i] - 1))
  expect(Math.max(...apart), `${losses.join(' ')}\n${node.mixed.join(' ')}`).toBeLessThan(0.005)
})
