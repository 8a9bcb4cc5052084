/**
 * A set in which one class is ten times as frequent as the other, trained with and without class weights. The classes overlap:
 * pictures differ in lightness only, by one deviation, so that about 69% of both can be right at once. Without weights the
 * network mostly answers with the frequent class; its accuracy on such a set would be high, its balanced accuracy is not.
 *
 * Balanced accuracy of three seeds, on 200 pictures of each class (Mesa's software adapter, 2026-11-27):
 *
 *                       seed 1   seed 2   seed 3
 *   no weights          0.500    0.500    0.500
 *   classWeights        0.718    0.713    0.673
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CategoryBlock, crossEntropy, DataBlock, ImageBlock, Learner, normalize } from 'wgrad'
import { classWeights, type Loaders } from 'wgrad/data'
import { rng } from 'wgrad/gpu'
import { ConvLayer, GlobalAvgPool, Init, Linear, Sequential } from 'wgrad/nn'
import { balancedAccuracy } from 'wgrad/train'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openQuietGpu } from './drawn-images.ts'

const platform = await openQuietGpu()

const FREQUENT = 300
const RARE = 30
const MEASURED = 200
const SIDE = 8
const DEVIATION = 30

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgrad-unbalanced-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Loaders of drawn pictures: dark ones are frequent in training, light ones rare; both are measured on alike. */
async function loadersOf(seed: number): Promise<Loaders> {
  const random = rng(seed, 'unbalanced')
  const files: string[] = []
  const labels: string[] = []
  const draw = async (label: 'dark' | 'light') => {
    const lightness = 128 + (label === 'light' ? DEVIATION / 2 : -DEVIATION / 2) + DEVIATION * random.normal()
    const data = new Uint8Array(4 * SIDE * SIDE).map(() => Math.max(0, Math.min(255, lightness + 8 * random.normal())))
    const file = join(folder, `${seed}-${files.length}.png`)
    await platform.files.write(file, await platform.encodePng({ width: SIDE, height: SIDE, data }))
    files.push(file)
    labels.push(label)
  }
  for (let i = 0; i < MEASURED; i++) for (const label of ['dark', 'light'] as const) await draw(label)
  for (let i = 0; i < FREQUENT; i++) await draw('dark')
  for (let i = 0; i < RARE; i++) await draw('light')
  const labelOf = new Map(files.map((file, i) => [file, labels[i]]))
  return new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: () => files,
    getY: (file) => labelOf.get(file),
    splitter: (items) => ({
      valid: Uint32Array.from({ length: 2 * MEASURED }, (_, i) => i),
      train: Uint32Array.from({ length: items.length - 2 * MEASURED }, (_, i) => 2 * MEASURED + i),
    }),
    batchTransforms: [normalize()],
  }).loaders(folder, { batchSize: 30, seed, platform })
}

/** Trains a small network and returns its balanced accuracy. */
async function trained(loaders: Loaders, weighted: boolean, seed: number): Promise<number> {
  const init = new Init(seed)
  const model = new Sequential([
    new ConvLayer({ inChannels: 3, outChannels: 8, init }),
    new GlobalAvgPool(),
    new Linear(8, 2, init),
  ])
  const loss = weighted ? crossEntropy({ weight: classWeights(loaders) }) : crossEntropy()
  const learner = new Learner(loaders, model, { loss, metrics: [balancedAccuracy()], seed })
  await learner.fitOneCycle(12, 1e-2)
  return (await learner.validate()).metrics.balanced_accuracy
}

test('weights raise the balanced accuracy by more than chance, with each of three seeds', async () => {
  const gains: number[] = []
  for (const seed of [1, 2, 3]) {
    const loaders = await loadersOf(seed)
    const [plain, weighted] = [await trained(loaders, false, seed), await trained(loaders, true, seed)]
    // The deviation of a balanced accuracy of 0.65 on 200 pictures of each class is 0.024.
    expect(weighted).toBeGreaterThan(0.6)
    expect(weighted).toBeGreaterThan(plain + 2 * 0.024)
    gains.push(weighted - plain)
  }
  expect(gains.reduce((sum, gain) => sum + gain, 0) / gains.length).toBeGreaterThan(0.1)
})
