import { describe, expect, test, vi } from 'vitest'
import { imagenetStats, normalize } from '../../src/data/augment/normalize.ts'
import { resnet18, resnet34 } from '../../src/nn/resnet.ts'
import { Dropout } from '../../src/nn/dropout.ts'
import { writeWeights } from '../../src/nn/weights.ts'
import { xresnet18 } from '../../src/nn/xresnet.ts'
import { read } from '../../src/tensor/read-write.ts'
import { loadLearner } from '../../src/train/files/export.ts'
import { pretrainedConfig, readPretrained } from '../../src/train/files/pretrained.ts'
import { partsThatDecide } from '../../src/train/fit/replay.ts'
import { scheduler } from '../../src/train/callbacks/scheduler.ts'
import { accuracy } from '../../src/train/fit/metrics.ts'
import { visionLearner, type VisionLearnerOptions } from '../../src/train/vision-learner.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'
import { golden } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { memoryFiles } from '../helpers/memory-files.ts'
import { stripes, tinyLoaders, type TinyOptions } from '../helpers/tiny.ts'

await openTestGpu()

const FILE = 'weights/net.safetensors'
const CONFIG = {
  architecture: 'resnet18',
  num_classes: 1000,
  pretrained_cfg: {
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
    input_size: [3, 224, 192],
    crop_pct: 0.9,
    interpolation: 'bicubic',
    first_conv: 'conv1',
    classifier: 'fc',
  },
}

const original = writeWeights(await resnet18({ outputs: 5, seed: 7 }).stateDict())

/** Loaders whose files hold the weights of a resnet18 with five outputs. */
async function setting(data: TinyOptions = {}, config: object | null = CONFIG) {
  const files = memoryFiles()
  const platform = fakePlatform({ picture: (path) => stripes(path, 16), files })
  const loaders = await tinyLoaders({ platform, ...data })
  files.contents.set(FILE, original)
  if (config) files.contents.set('weights/config.json', new TextEncoder().encode(JSON.stringify(config)))
  return { loaders, files, lines: platform.lines, platform }
}

const OPTIONS: VisionLearnerOptions = { pretrained: FILE, hidden: 16, metrics: [accuracy] }

describe('pretrained weights', () => {
  test('are asked for where they are described', async () => {
    const { loaders, platform } = await setting()
    const sha256 = '0'.repeat(64)
    // A learner that is made all the same is too large to be shown by a test that fails.
    const refusal = (options: VisionLearnerOptions) =>
      visionLearner(loaders, resnet18, options).then(() => 'it was accepted', String)
    expect(await refusal({ sha256 })).toContain('visionLearner: sha256 is that of weights')
    expect(await refusal({ ...OPTIONS, sha256 })).toContain(`${FILE}: these are not the weights that were asked for`)
    const pretrained = await readPretrained(FILE, { platform })
    expect(await refusal({ pretrained, revision: 'v2' })).toContain('visionLearner: revision is that of weights')
  })

  test('fill the body, and lines say what was loaded and how images are normalized', async () => {
    const { loaders, lines } = await setting()
    const learner = await visionLearner(loaders, resnet18, OPTIONS)
    expect(lines).toMatchInlineSnapshot(`
      [
        "weights/net.safetensors: 100 of 110 tensors loaded; left as initialised: 1.2.weight, 1.2.bias, 1.2.running_mean, 1.2.running_var … (10 in all); not in the model: fc.weight, fc.bias",
        "images are normalized with mean 0.5 0.5 0.5, std 0.5 0.5 0.5 (as the weights were trained)",
      ]
    `)
    expect(learner.pretrained).toMatchObject({
      report: { unexpected: ['fc.weight', 'fc.bias'], mismatched: [] },
      config: {
        architecture: 'resnet18',
        stats: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
        size: [224, 192],
        cropPct: 0.9,
        interpolation: 'bicubic',
        firstConv: 'conv1',
        classifier: 'fc',
      },
    })
    expect(learner.loaders.train.stats.mean).toEqual([0.5, 0.5, 0.5])
    expect(learner.loaders.valid.stats.std).toEqual([0.5, 0.5, 0.5])
    const whole = resnet18({ outputs: 5, seed: 7 })
    const body = learner.model.states().filter(({ path }) => path.startsWith('0.'))
    for (const i of [0, 1, 60, body.length - 1]) {
      expect(await read(body[i].value)).toEqual(await read(whole.states()[i].value))
    }
  })

  test('loaders that normalize otherwise are kept, with a warning', async () => {
    const { loaders, lines } = await setting({ batchTransforms: [normalize(imagenetStats)] })
    const learner = await visionLearner(loaders, resnet18, OPTIONS)
    expect(learner.loaders).toBe(loaders)
    expect(lines.filter((line) => line.startsWith('warning'))).toEqual([
      'warning: the loaders normalize with mean 0.485 0.456 0.406, std 0.229 0.224 0.225, but weights/net.safetensors was trained with mean 0.5 0.5 0.5, std 0.5 0.5 0.5',
    ])
  })

  test("ImageNet's statistics where the file states none; none where they are not wanted", async () => {
    const { loaders, lines } = await setting({}, null)
    expect((await visionLearner(loaders, resnet18, OPTIONS)).loaders.train.stats).toMatchObject(imagenetStats)
    expect(lines.at(-1)).toContain("(ImageNet's, as the weights' file states none)")
    const plain = await visionLearner(loaders, resnet18, { ...OPTIONS, normalize: false })
    expect(plain.loaders).toBe(loaders)
  })

  test('other loaders are normalized alike, such as those that the learner was made of', async () => {
    const { loaders, lines } = await setting()
    const learner = await visionLearner(loaders, resnet18, OPTIONS)
    lines.length = 0
    const loader = loaders.test(Array.from(loaders.valid.items, (item) => loaders.valid.pictures.items[item]))
    const { predictions } = await learner.getPredictions()
    expect((await learner.getPredictions({ loader })).predictions).toEqual(predictions)
    expect(await learner.validate(loaders.valid)).toEqual(await learner.validate())
    expect((await learner.tta({ loader })).predictions).toEqual((await learner.tta()).predictions)
    expect(lines).toEqual([])
    // For another learner they are as they were.
    expect(loaders.valid.stats.mean).toEqual([0, 0, 0])
  })

  test('of another architecture are refused', async () => {
    const { loaders } = await setting()
    await expect(visionLearner(loaders, resnet34, OPTIONS)).rejects.toThrow('these are not the weights of this model')
    await expect(visionLearner(loaders, xresnet18, OPTIONS)).rejects.toThrow('these are not the weights of this model')
    await expect(visionLearner(loaders, resnet18() as never)).rejects.toThrow('hand over the function itself')
    await expect(visionLearner(loaders, resnet18, { pretrained: 3 as never })).rejects.toThrow('pretrained is not of')
    await expect(visionLearner(loaders, resnet18, { groups: () => [] } as never)).rejects.toThrow("no option 'groups'")
    await expect(visionLearner(loaders, resnet18, { pretrained: 'none.pth' })).rejects.toThrow('none.pth')
  })
})

describe('freezing', () => {
  test('leaves the head and the batch norms of the body to learn, as in fastai', async () => {
    const { loaders } = await setting()
    const learner = await visionLearner(loaders, resnet18, OPTIONS)
    expect(learner.optimizer!.groups.map(([first]) => (first as unknown as { path: string }).path)).toEqual([
      '0.0.weight',
      '0.6.0.conv1.weight',
      '1.2.weight',
    ])
    const names = learner.model
      .parameters()
      .filter(({ leaf }) => leaf.trainable)
      .map(({ path }) => path)
    // 40 of 20 norms of the body, and all of the head.
    expect(names).toHaveLength(40 + 6)
    expect(names.every((name) => /^1\.|bn\d|downsample\.1|^0\.1\./.test(name))).toBe(true)

    const before = await learner.model.stateDict()
    await learner.fitOneCycle(1, 1e-2)
    const after = await learner.model.stateDict()
    const changed = [...before].filter(([name, { data }]) => data.some((x, i) => x !== after.get(name)!.data[i]))
    const learnt = changed.map(([name]) => name)
    expect(learnt.filter((name) => /conv\d|downsample\.0|^0\.0\./.test(name))).toEqual([])
    expect(learnt).toEqual(
      expect.arrayContaining(['1.4.weight', '1.8.weight', '0.1.weight', '0.1.running_mean', '0.7.1.bn2.bias']),
    )

    learner.unfreeze()
    expect(learner.model.parameters().every(({ leaf }) => leaf.trainable)).toBe(true)
  })

  test('fineTune trains the head first, then all, the first layers least', async () => {
    const { loaders, lines } = await setting()
    const learner = await visionLearner(loaders, resnet18, OPTIONS)
    const first = async () => Float32Array.from(await read(learner.model.parameters()[0].value))
    const before = await first()
    const seen: boolean[] = []
    await learner.fineTune(1, 1e-2, {
      callbacks: [
        {
          name: 'watch',
          order: 100,
          afterEpoch: async () => void seen.push((await first()).some((x, i) => x !== before[i])),
        },
      ],
    })
    expect(seen).toEqual([false, true])
    expect(lines.join('\n')).not.toContain('nothing is frozen')
  })

  test.each([{}, { pretrained: false }])('without pretrained weights nothing is frozen: %j', async (none) => {
    const { loaders, lines } = await setting()
    const learner = await visionLearner(loaders, resnet18, { ...none, hidden: 16 })
    expect(learner.model.parameters().every(({ leaf }) => leaf.trainable)).toBe(true)
    expect(learner.pretrained).toBeUndefined()
    expect(learner.loaders).toBe(loaders)
    expect(lines).toEqual([])
  })

  test('schedules for another number of groups are refused by the fit that they are given to', async () => {
    const learner = await visionLearner(await tinyLoaders(), resnet18, { pretrained: false, hidden: 16 })
    const lr = () => 1e-3
    const fit = (count: number) =>
      learner.fit(1, 1e-3, { callbacks: [scheduler(Array.from({ length: count }, () => ({ lr })))] })
    await expect(fit(1)).rejects.toThrow(
      /^scheduler: there must be schedules for every parameter group\n +schedules +1\n +groups +3/,
    )
    await fit(3)
    expect(() => scheduler({ lr } as never)).toThrow('scheduler: groups is not of the right kind')
  })
})

describe('steps with dropout', () => {
  test('replayed steps leave out what steps made anew do, the same for a seed', async () => {
    const fit = async (replay: boolean, seed: number) => {
      const { loaders } = await setting({ train: 48, batchSize: 4 })
      const learner = await visionLearner(loaders, resnet18, { ...OPTIONS, dropout: 0.5, replay, seed })
      expect(partsThatDecide(learner)).toEqual([])
      // The tuner of a GPU runs the model before a fit as well.
      vi.stubEnv('TUNE', '0')
      const forward = vi.spyOn(Dropout.prototype, 'forward')
      await learner.fit(1, 1e-2)
      vi.unstubAllEnvs()
      const calls = forward.mock.calls.length
      forward.mockRestore()
      // Two layers, and two batches of validation. Of 12 steps the first two are made by their code, and the 4th replay.
      expect(calls).toBe(2 * ((replay ? 3 : 12) + 2))
      const { losses } = learner.recorder
      return [...losses]
    }
    const anew = await fit(false, 3)
    expect(anew).toHaveLength(12)
    expect(await fit(true, 3)).toEqual(anew)
    expect(await fit(true, 4)).not.toEqual(anew)
  })

  test('in mixed precision the model trains, exports and predicts', async () => {
    const { loaders, platform } = await setting({ train: 24 })
    const learner = (await visionLearner(loaders, resnet18, OPTIONS)).toFp16()
    await learner.fineTune(2, 1e-2)
    expect(learner.recorder.losses.every(Number.isFinite)).toBe(true)
    await learner.export('pet.safetensors')
    const predictor = await loadLearner('pet.safetensors', { platform })
    expect(predictor.model.architecture).toMatchObject({ name: 'visionModel', options: { backbone: 'resnet18' } })
    const item = 'set/across/0.png'
    const here = await learner.toFp32().predict(item)
    const there = await predictor.predict(item)
    expect(there.label).toBe(here.label)
    expect([...there.probabilities]).toEqual([...here.probabilities])
    // An export states its statistics, and is a file of pretrained weights too.
    const again = await readPretrained('pet.safetensors', { platform })
    expect(again.config.stats).toEqual({ mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] })
    const second = await visionLearner(loaders, resnet18, { ...OPTIONS, pretrained: again })
    expect(second.pretrained!.report.missing).toEqual([])
  })
})

describe('readPretrained', () => {
  test('checks a file by the digest that is given, and refuses what only the hub has', async () => {
    const { platform } = await setting()
    const digest = await platform.sha256(original)
    const { config } = await readPretrained(FILE, { platform, sha256: digest.toUpperCase() })
    expect(config.architecture).toBe('resnet18')
    // Read once: what was checked is what is used, whatever another program writes meanwhile.
    const reads: string[] = []
    const read = (path: string) => {
      reads.push(path)
      return platform.files.read(path)
    }
    await readPretrained(FILE, { platform: { ...platform, files: { ...platform.files, read } }, sha256: digest })
    expect(reads).toEqual([FILE])
    const refusal = (options: object) =>
      readPretrained(FILE, { platform, ...options }).then(() => 'it was accepted', String)
    expect(await refusal({ sha256: '0'.repeat(64) })).toContain(
      `${FILE}: these are not the weights that were asked for`,
    )
    expect(await refusal({ revision: 'v2' })).toContain('readPretrained: a file has no revisions')
  })

  test('reads .pth files, which state nothing', async () => {
    const { files } = golden<{ readonly files: Readonly<Record<string, string>> }>('torch_files')
    const memory = memoryFiles()
    memory.contents.set('a/fastai.pth', Buffer.from(files.fastai, 'base64'))
    const { weights, config } = await readPretrained('a/fastai.pth', { platform: fakePlatform({ files: memory }) })
    expect(weights.get('0.weight')).toEqual({ shape: [3, 2, 3, 2], data: hashUniform(36, 0, -1, 1) })
    expect(config).toEqual({})
  })

  test('config.json of older versions, and damaged ones', () => {
    const { pretrained_cfg: facts } = CONFIG
    expect(pretrainedConfig('c.json', JSON.stringify({ architecture: 'resnet18', ...facts }))).toEqual(
      pretrainedConfig('c.json', JSON.stringify(CONFIG)),
    )
    expect(pretrainedConfig('c.json', '{}')).toEqual({})
    expect(() => pretrainedConfig('c.json', '[1')).toThrow('c.json: a damaged file')
    expect(() => pretrainedConfig('c.json', '{"mean": [1, 2], "std": [0, 1, 1]}')).toThrow('c.json: normalize')
  })
})
