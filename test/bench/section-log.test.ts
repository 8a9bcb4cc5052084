import { describe, expect, test } from 'vitest'
import type { SectionDetails } from '../../bench/lesson/results.ts'
import type { Tile } from '../../src/train/report/figures.ts'
import { SectionLog, withOwnLosses } from '../../bench/lesson/section-log.ts'
import { jsonText, parseJson } from '../../src/base/json.ts'
import { imagenetStats, normalize } from '../../src/data/augment/normalize.ts'
import { randomResizedCropGpu } from '../../src/data/augment/crop.ts'
import { channelStats } from '../../src/data/statistics.ts'
import type { Pixels } from '../../src/image/pixels.ts'
import { decodePng, encodePng } from '../../src/platform/node/png.ts'
import { read } from '../../src/tensor/read-write.ts'
import type { Callback } from '../../src/train/fit/callback.ts'
import { cutMix } from '../../src/train/callbacks/cut-mix.ts'
import { mixUp } from '../../src/train/callbacks/mixup.ts'
import { Learner } from '../../src/train/learner.ts'
import type { LearnerOptions } from '../../src/train/learner-options.ts'
import { accuracy } from '../../src/train/fit/metrics.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { memoryFiles } from '../helpers/memory-files.ts'
import { stripes, tinyLoaders, tinyModel, type TinyOptions } from '../helpers/tiny.ts'

const gpu = await openTestGpu()

const SIZE = 16

async function logged(options: LearnerOptions = {}, data: TinyOptions = {}) {
  const log = new SectionLog()
  log.begin('tiny')
  const platform = Object.assign(fakePlatform({ picture: (path) => stripes(path, SIZE) }), { encodePng })
  const loaders = await tinyLoaders({ train: 13, valid: 6, batchSize: 4, platform, ...data })
  const learner = new Learner(loaders, tinyModel(), {
    metrics: [accuracy],
    ...options,
    callbacks: [...(options.callbacks ?? []), log],
  })
  return { log, learner }
}

function pictureOf({ uri }: { readonly uri: string }): Pixels {
  expect(uri).toMatch(/^data:image\/png;base64,/)
  return decodePng(Buffer.from(uri.slice(uri.indexOf(',') + 1), 'base64'))
}

const byTitle = (groups: readonly { readonly title: string; readonly tiles: readonly Tile[] }[], part: string) =>
  groups.find(({ title }) => title.includes(part))?.tiles ?? []

describe('the log of a section', () => {
  test('has every step and epoch of all its fits, as the recorder has those of the last', async () => {
    const { log, learner } = await logged()
    await learner.fitOneCycle(1, 1e-2)
    await learner.fitOneCycle(2, 1e-3)
    const { fits } = await log.details(learner, undefined, [])
    expect(fits.map(({ epochs, steps, stepsPerEpoch }) => [epochs.length, steps.length, stepsPerEpoch])).toEqual([
      [1, 3, 3],
      [2, 6, 3],
    ])
    const { recorder } = learner
    const { steps, epochs } = fits[1]
    expect(steps.map(({ iteration }) => iteration)).toEqual([0, 1, 2, 3, 4, 5])
    expect(steps.map(({ section, fit }) => `${section} ${fit}`)).toEqual(new Array(6).fill('tiny 1'))
    expect(steps.map(({ loss }) => loss)).toEqual(recorder.rawLosses)
    expect(steps.map(({ smoothLoss }) => smoothLoss)).toEqual(recorder.losses)
    expect(steps.map(({ lr }) => lr)).toEqual(recorder.lrs)
    expect(steps.map(({ momentum }) => momentum)).toEqual(recorder.momentums)
    expect(epochs.map(({ accuracy: part, validLoss }) => [part, validLoss])).toEqual(
      recorder.rows.map((row) => [row.metrics.accuracy, row.validLoss]),
    )
    log.begin('next')
    expect((await log.details(learner, undefined, [])).fits).toEqual([])
  })

  test('goes on with what a checkpoint has kept', async () => {
    const { log, learner } = await logged()
    await learner.fitOneCycle(1, 1e-2)
    const saved = parseJson(jsonText(log.state()))
    const before = (await log.details(learner, undefined, [])).fits
    await learner.fitOneCycle(1, 1e-3)
    log.restore(saved)
    expect((await log.details(learner, undefined, [])).fits).toEqual(before)
  })

  test('does not keep steps from being replayed', async () => {
    const { learner } = await logged()
    const launches = async (callbacks: Learner['callbacks']) => {
      learner.callbacks = callbacks
      let calls = 0
      const { forward } = learner.model
      learner.model.forward = (x) => {
        calls++
        return forward.call(learner.model, x)
      }
      await learner.fit(1)
      learner.model.forward = forward
      return calls
    }
    const all = learner.callbacks
    expect(await launches(all)).toBe(await launches(all.filter(({ name }) => name !== 'sectionLog')))
  })

  test('shows the first batch as the network got it, with the normalisation taken back', async () => {
    const { log, learner } = await logged({}, { batchTransforms: [normalize(imagenetStats)] })
    const { pixels, labels } = await firstHostBatch(learner)
    await learner.fit(1)
    const { imageGroups, batchStats } = await log.details(learner, undefined, [])
    const tiles = byTitle(imageGroups, 'first batch')
    expect(tiles.map(({ label }) => label)).toEqual(Array.from(labels, (label) => learner.loaders.vocab[label]))
    const bytes = new Uint8Array(pixels.buffer)
    tiles.forEach((tile, n) => {
      const { data } = pictureOf(tile)
      const off = data.map((value, i) => Math.abs(value - bytes[n * data.length + i]))
      // There and back in f32, then cut off.
      expect(Math.max(...off)).toBeLessThanOrEqual(1)
    })
    // Stripes are no photographs, but what is normalised lies around 0.
    for (const mean of batchStats?.after.mean ?? [9]) expect(Math.abs(mean)).toBeLessThan(1.5)
    const before = channelStats(bytes.filter((_, i) => i % 4 < 3))
    for (const of of ['mean', 'std'] as const) {
      before[of].forEach((value, c) => expect(batchStats?.before[of][c]).toBeCloseTo(value / 255, 5))
    }
  })

  test('shows mixed pictures with both labels and their share, and what another callback would have made', async () => {
    const { log, learner } = await logged({ callbacks: [mixUp()] })
    const { pixels } = await firstHostBatch(learner)
    await learner.fit(1)
    const { imageGroups } = await log.details(learner, undefined, [cutMix()])
    // The transforms keep what they need for the next batch, and nothing else is left.
    const { usedBytes } = gpu.buffers
    await log.details(learner, undefined, [cutMix()])
    expect(gpu.buffers.usedBytes).toBeLessThanOrEqual(usedBytes)
    for (const part of ['first batch', 'cutMix']) {
      const tiles = byTitle(imageGroups, part)
      expect(tiles.length).toBe(4)
      for (const { mixedWith, share = NaN } of tiles) {
        expect(learner.loaders.vocab).toContain(mixedWith)
        expect(share).toBeGreaterThanOrEqual(0)
        expect(share).toBeLessThanOrEqual(1)
      }
    }
    const bytes = new Uint8Array(pixels.buffer)
    const mixed = byTitle(imageGroups, 'first batch')
      .map(({ share = 1 }, n) => ({ share, n }))
      .filter(({ share }) => share < 0.95)
    expect(mixed.length).toBeGreaterThan(0)
    for (const { n } of mixed) {
      const { data } = pictureOf(byTitle(imageGroups, 'first batch')[n])
      expect(data.some((value, i) => Math.abs(value - bytes[n * data.length + i]) > 3)).toBe(true)
    }
  })

  test('shows the very batch of the first step, in a section that goes on with a learner too', async () => {
    // After everything that changes a batch.
    const seen: Promise<Float32Array | Uint32Array>[] = []
    const spy: Callback = {
      name: 'spy',
      order: 56,
      runsOn: 'train',
      beforeBatch: (_, { input }) => void seen.push(read(input)),
    }
    const { log, learner } = await logged(
      { callbacks: [mixUp(), spy] },
      { batchTransforms: [randomResizedCropGpu(8, { minScale: 0.3 })] },
    )
    learner.toFp16()
    for (const section of ['small', 'large']) {
      log.begin(section)
      seen.length = 0
      await learner.fit(2)
      await learner.fit(1)
      const values = await seen[0]
      const { imageGroups, batchStats } = await log.details(learner, undefined, [])
      expect(batchStats?.after).toEqual(channelStats(values))
      // Nothing is normalised.
      expect(batchStats?.before).toEqual(batchStats?.after)
      byTitle(imageGroups, 'first batch').forEach((tile, n) => {
        const { data } = pictureOf(tile)
        for (let i = 0; i < 8 * 8; i++) {
          for (let c = 0; c < 3; c++) expect(data[4 * i + c]).toBe(Math.trunc(255 * values[(n * 64 + i) * 3 + c]))
        }
      })
    }
  })

  test('shows the same in a run that goes on from a checkpoint, in the middle or at the end', async () => {
    const files = memoryFiles()
    const run = async (epochs: number, interruptIn?: number): Promise<SectionDetails> => {
      const platform = Object.assign(fakePlatform({ picture: (path) => stripes(path, SIZE), files }), { encodePng })
      const stop: Callback = {
        name: 'stop',
        order: 90,
        beforeEpoch: ({ epoch }) => void (epoch === interruptIn && platform.interrupt()),
      }
      const { log, learner } = await logged({ callbacks: [mixUp(), stop] }, { platform })
      await learner.fit(epochs, 1e-3, { checkpoint: 'fit.checkpoint', resume: true })
      expect(learner.interrupted).toBe(interruptIn !== undefined)
      return log.details(learner, undefined, [cutMix()])
    }
    const interrupted = await run(3, 1)
    const resumed = await run(3)
    const over = await run(3)
    for (const { imageGroups, batchStats } of [resumed, over]) {
      for (const part of ['first batch', 'cutMix']) {
        expect(byTitle(imageGroups, part)).toEqual(byTitle(interrupted.imageGroups, part))
      }
      expect(byTitle(imageGroups, 'first batch').length).toBe(4)
      expect(batchStats).toEqual(interrupted.batchStats)
    }
    expect(resumed.fits.map(({ epochs, steps }) => [epochs.length, steps.length])).toEqual([[3, 9]])
    expect(over).toEqual(resumed)
  })

  test('varies one picture at random: of the training items, or where nothing is trained of the others', async () => {
    const { log, learner } = await logged({}, { batchTransforms: [randomResizedCropGpu(8, { minScale: 0.3 })] })
    const untrained = byTitle((await log.details(learner, undefined, [])).imageGroups, 'varied')
    expect(untrained.length).toBe(8)
    expect(untrained[0].label).toBe(learner.loaders.vocab[learner.loaders.valid.labels[learner.loaders.valid.items[0]]])
    expect(pictureOf(untrained[0]).width).toBe(8)
    expect(new Set(untrained.map(({ uri }) => uri)).size).toBeGreaterThan(4)
    await learner.fit(1)
    const trained = byTitle((await log.details(learner, undefined, [])).imageGroups, 'varied')
    const first = learner.loaders.train.order({ epoch: 1 })[0]
    expect(new Set(trained.map(({ label }) => label))).toEqual(
      new Set([learner.loaders.vocab[learner.loaders.train.labels[first]]]),
    )
  })

  test('counts what is taken for what, and shows the most wrong pictures', async () => {
    const { log, learner } = await logged()
    const results = await learner.getPredictions()
    const { confusion, mostWrong, outputs } = await log.details(learner, results, [])
    expect(outputs).toBe(3)
    expect(confusion?.counts.flat().reduce((sum, value) => sum + value, 0)).toBe(6)
    expect(confusion?.classes).toEqual(learner.loaders.vocab)
    for (const { actual, predicted, count } of confusion?.pairs ?? []) {
      const [row, column] = [actual, predicted].map((name) => learner.loaders.vocab.indexOf(name))
      expect(row).not.toBe(column)
      expect(confusion?.counts[row][column]).toBe(count)
    }
    expect(confusion?.pairs.reduce((sum, { count }) => sum + count, 0)).toBe(mostWrong.length)
    expect(mostWrong.length).toBeGreaterThan(0)
    expect(mostWrong.length).toBe(6 - (confusion?.counts.reduce((sum, row, i) => sum + row[i], 0) ?? 0))
    expect(mostWrong[0].loss).toBeCloseTo(Math.max(...mostWrong.map(({ loss }) => loss)), 12)
    for (const tile of mostWrong) {
      expect(tile.actual).not.toBe(tile.predicted)
      expect(pictureOf(tile).width).toBe(128)
    }
  })
})

async function firstHostBatch({ loaders: { train } }: Learner) {
  for await (const { host } of train.hostBatches({ epoch: 0 })) {
    return { pixels: host.pixels.slice(), labels: host.labels.slice() }
  }
  throw new Error('no batch')
}

test('averaged predictions have the loss of their average', () => {
  const results = {
    predictions: { rows: 2, columns: 2, data: Float32Array.of(0.25, 0.75, 0.5, 0.5) },
    targets: Uint32Array.of(1, 0),
    losses: Float32Array.of(9, 9),
    items: Uint32Array.of(4, 5),
  }
  const { losses, items } = withOwnLosses(results)
  expect(losses[0]).toBeCloseTo(0.2876821, 6)
  expect(losses[1]).toBeCloseTo(0.6931472, 6)
  expect([...items]).toEqual([4, 5])
})
