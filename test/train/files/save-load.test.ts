import { describe, expect, test } from 'vitest'
import { augTransforms } from '../../../src/data/augment/transforms.ts'
import { normalize } from '../../../src/data/augment/normalize.ts'
import { resize } from '../../../src/data/item-transforms.ts'
import { Loaders } from '../../../src/data/loaders.ts'
import { readSafetensors } from '../../../src/nn/safetensors.ts'
import { readWeights, writeWeights } from '../../../src/nn/weights.ts'
import { xresnet18 } from '../../../src/nn/xresnet.ts'
import type { Json } from '../../../src/base/json.ts'
import { DataError, OptionError } from '../../../src/base/errors.ts'
import type { ModelMaker } from '../../../src/nn/architectures.ts'
import { adam } from '../../../src/optim/adam.ts'
import { ranger } from '../../../src/optim/lookahead.ts'
import { sgd } from '../../../src/optim/sgd.ts'
import { roundToHalf } from '../../../src/tensor/half.ts'
import { upload } from '../../../src/tensor/read-write.ts'
import { loadLearner } from '../../../src/train/files/export.ts'
import { Learner } from '../../../src/train/learner.ts'
import type { LearnerOptions } from '../../../src/train/learner-options.ts'
import { accuracy } from '../../../src/train/fit/metrics.ts'
import { suggestThreshold } from '../../../src/train/results/threshold.ts'
import { changeInfo } from '../../helpers/change-info.ts'
import { fakePlatform } from '../../helpers/fake-platform.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { memoryFiles } from '../../helpers/memory-files.ts'
import { stripes, tinyLoaders, tinyModel } from '../../helpers/tiny.ts'

await openTestGpu()

const FILE = 'models/tiny.safetensors'

async function tinyLearner(options: LearnerOptions = {}, files = memoryFiles(), model = tinyModel()) {
  const platform = fakePlatform({ picture: (path) => stripes(path, 16), files })
  const batchTransforms = [
    ...augTransforms({ size: 14, minScale: 0.5 }),
    normalize({ mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] }),
  ]
  const loaders = await tinyLoaders({ platform, batchTransforms })
  return { learner: new Learner(loaders, model, { metrics: [accuracy], ...options }), files, platform }
}

async function everything({ model, optimizer }: Learner) {
  const dicts = [await model.stateDict(), ...(optimizer ? [await optimizer.state()] : [])]
  return dicts.flatMap((dict) => [...dict].map(([name, { shape, data }]) => [name, [...shape], [...data]]))
}

describe('save and load', () => {
  test('slow weights of ranger do not pull back weights that were loaded without them', async () => {
    const platform = fakePlatform({ picture: (path) => stripes(path, 16), files: memoryFiles() })
    // Six steps per epoch, after which slow and fast weights meet.
    const loaders = await tinyLoaders({ platform, train: 24 })
    const learner = new Learner(loaders, tinyModel(), { optimizer: ranger() })
    const weights = async () => [...(await learner.model.stateDict()).get('3.weight')!.data]
    await learner.fit(1, 1e-2)
    await learner.save(FILE, { withOptimizer: false })
    const saved = await weights()
    await learner.fit(1, 1e-2)
    await learner.load(FILE, { withOptimizer: false })
    // A rate of 0 leaves the fast weights where they are.
    await learner.fit(1, 0)
    expect(await weights()).toEqual(saved)
    // What is saved then can be loaded.
    await learner.save(FILE)
    await learner.load(FILE)
  })

  test.each([
    ['adam', adam()],
    ['sgd with momentum', sgd({ momentum: 0.9 })],
    ['sgd', sgd()],
    ['ranger', ranger()],
  ])('bring back weights, statistics and the state of the optimizer: %s', async (_name, optimizer) => {
    const { learner, files } = await tinyLearner({ optimizer })
    await learner.fitOneCycle(2, 1e-2)
    await learner.save(FILE)
    const saved = await everything(learner)

    const other = (await tinyLearner({ optimizer }, files, tinyModel({ seed: 9 }))).learner
    await other.load(FILE)
    expect(await everything(other)).toEqual(saved)
    expect(other.optimizer!.hyperparameters).toEqual(learner.optimizer!.hyperparameters)
    // And they train on alike.
    other.epochsBegun = learner.epochsBegun
    for (const each of [learner, other]) await each.fit(1)
    expect(await everything(other)).toEqual(await everything(learner))
    expect(await everything(learner)).not.toEqual(saved)
  })

  test('in mixed precision the f16 copies follow', async () => {
    const { learner, files } = await tinyLearner()
    await learner.toFp16().fit(1, 1e-2)
    await learner.save(FILE)
    const expected = await learner.validate()
    const { learner: other } = await tinyLearner({}, files)
    await other.toFp16().fit(1, 1e-2)
    await other.load(FILE)
    expect(await other.validate()).toEqual(expected)
  })

  test('without the optimizer there are weights alone, and loading says what is missing', async () => {
    const { learner, files, platform } = await tinyLearner()
    await learner.fit(1)
    await learner.save(FILE, { withOptimizer: false })
    const { tensors } = readSafetensors(FILE, await files.read(FILE))
    expect([...tensors.keys()]).toEqual([...(await learner.model.stateDict()).keys()])
    platform.lines.length = 0
    await learner.load(FILE)
    expect(platform.lines).toEqual(['models/tiny.safetensors contains no optimizer state: the optimizer is unchanged'])
    await learner.load(FILE, { withOptimizer: false })
    expect(platform.lines).toHaveLength(1)
  })

  test("the names are fastai's and the layouts PyTorch's, also of what the optimizer remembers", async () => {
    const { learner, files } = await tinyLearner()
    await learner.fit(1)
    await learner.save(FILE)
    const { tensors, metadata } = readSafetensors(FILE, await files.read(FILE))
    expect(
      [...tensors].filter(([name]) => name.includes('1.0.weight')).map(([name, { shape }]) => [name, ...shape]),
    ).toEqual([
      ['1.0.weight', 16, 8, 3, 3],
      ['optimizer.1.0.weight.step', 1],
      ['optimizer.1.0.weight.grad_avg', 16, 8, 3, 3],
      ['optimizer.1.0.weight.sqr_avg', 16, 8, 3, 3],
    ])
    expect(tensors.get('optimizer.3.bias.step')!.data[0]).toBe(2)
    expect(metadata.format).toBe('pt')
    // [o,c,r,s] of the file is [o,r,s,c] here.
    const own = (await learner.optimizer!.state()).get('1.0.weight.grad_avg')!
    const at = (o: number, r: number, s: number, c: number) => [
      own.data[((o * 3 + r) * 3 + s) * 8 + c],
      tensors.get('optimizer.1.0.weight.grad_avg')!.data[((o * 8 + c) * 3 + r) * 3 + s],
    ]
    for (const [mine, theirs] of [at(0, 1, 2, 3), at(15, 2, 0, 7)]) expect(theirs).toBe(mine)
  })

  test('weights that PyTorch wrote are loaded as they are', async () => {
    const { learner, files } = await tinyLearner()
    const weights = await tinyModel({ seed: 5 }).stateDict()
    await files.write(FILE, writeWeights(weights))
    await learner.load(FILE, { withOptimizer: false })
    expect(await learner.model.stateDict()).toEqual(weights)
  })

  test("under timm's names, and back", async () => {
    const { learner, files } = await tinyLearner({}, memoryFiles(), xresnet18({ outputs: 3, seed: 1 }))
    await learner.save(FILE, { names: 'timm' })
    const { weights } = readWeights(FILE, files.contents.get(FILE)!)
    expect([...weights.keys()].filter((name) => name.startsWith('fc.'))).toEqual(['fc.weight', 'fc.bias'])
    const other = (await tinyLearner({}, files, xresnet18({ outputs: 3, seed: 2 }))).learner
    await other.load(FILE)
    const saved = await learner.model.stateDict()
    for (const [name, { data }] of await other.model.stateDict()) {
      expect(Buffer.from(data.buffer).equals(Buffer.from(saved.get(name)!.data.buffer)), name).toBe(true)
    }
    await expect(learner.save(FILE, { names: 'timm', withOptimizer: true })).rejects.toThrow('has no names in timm')
    await expect((await tinyLearner()).learner.save(FILE, { names: 'timm' })).rejects.toThrow('timm has no names')
  })

  test('one message for what does not fit, that names the file, and nothing is changed', async () => {
    const { learner, files } = await tinyLearner()
    await learner.fit(1)
    await learner.save(FILE)
    const before = await everything(learner)
    const { learner: wider } = await tinyLearner({}, files, tinyModel({ outputs: 5 }))
    await expect(wider.load(FILE, { withOptimizer: false })).rejects.toThrowErrorMatchingInlineSnapshot(`
      [DataError: models/tiny.safetensors: loadStateDict: the shape of 3.weight differs
        checkpoint  [3,16]
        model       [5,16]
        numbers     48
        Fix: build the model with the options it was saved with, such as \`outputs\`]
    `)
    const { learner: momentary } = await tinyLearner({ optimizer: ranger() }, files)
    await expect(momentary.load(FILE)).rejects.toThrow(
      'models/tiny.safetensors: loadState: this is not the state of an optimizer of this model',
    )
    expect(await everything(learner)).toEqual(before)
    // What fits the optimizer need not fit the model, nor the reverse.
    const { weights, metadata } = readWeights(FILE, await files.read(FILE))
    const without = async (name: string) => {
      files.contents.set(
        'other',
        writeWeights(new Map([...weights].filter(([each]) => each !== name)), { wgrad: metadata.wgrad }),
      )
      await learner.fit(1)
      const now = { all: await everything(learner), hyperparameters: learner.optimizer!.hyperparameters }
      await expect(learner.load('other')).rejects.toThrow(/^other: /)
      expect({ all: await everything(learner), hyperparameters: learner.optimizer!.hyperparameters }).toEqual(now)
    }
    for (const name of ['3.bias', 'optimizer.3.bias.step']) await without(name)
    await changeInfo(files, FILE, { hypers: [{ lr: 1, momentum: 2, weightDecay: 0 }] })
    const now = await everything(learner)
    await expect(learner.load(FILE)).rejects.toThrow(`${FILE}: hypers: `)
    expect(await everything(learner)).toEqual(now)
    await learner.save(FILE)
    before.splice(0, before.length, ...now)

    const bytes = await files.read(FILE)
    for (const [damage, message] of [
      [bytes.slice(0, bytes.length - 7), 'a damaged safetensors file: it is truncated'],
      [bytes.slice(0, 100), 'it is truncated within its header'],
      [new TextEncoder().encode('epoch,train_loss\n0,1.5\n'), 'not a safetensors file'],
      [new Uint8Array(0), 'the file is empty'],
      [
        writeWeights(await learner.model.stateDict(), { wgrad: '{ "kind": ' }),
        "bad.safetensors, metadata 'wgrad': a damaged file: not JSON",
      ],
    ] as const) {
      files.contents.set('bad.safetensors', damage)
      await expect(learner.load('bad.safetensors')).rejects.toThrow(/^bad\.safetensors[:,] /)
      await expect(learner.load('bad.safetensors')).rejects.toThrow(message)
    }
    await expect(learner.load('nowhere.safetensors')).rejects.toThrow('nowhere.safetensors: no such file or folder')
    expect(await everything(learner)).toEqual(before)
  })

  test.each([
    ['no list', 5],
    ['of something else', [null]],
    ['with a text', [{ lr: 'x', momentum: 0.9, weightDecay: 0 }]],
  ])('hyper-parameters that are damaged: %s', async (_name, hyperparameters) => {
    const { learner, files } = await tinyLearner()
    await learner.fit(1)
    await learner.save(FILE)
    const before = await everything(learner)
    await changeInfo(files, FILE, { hypers: hyperparameters })
    await learner.fit(1)
    const after = await everything(learner)
    await expect(learner.load(FILE)).rejects.toThrow(`${FILE}: a damaged file: its hypers is invalid`)
    expect(await everything(learner)).toEqual(after)
    expect(after).not.toEqual(before)
  })
})

describe('the checksum', () => {
  test('finds every kind of damage in a file, which stays one that others read', async () => {
    const { learner, files, platform } = await tinyLearner(
      {},
      memoryFiles(),
      tiny({ outputs: 3 }) as ReturnType<typeof tinyModel>,
    )
    await learner.fit(1)
    await learner.export('net')
    const good = await files.read('net')
    const load = (bytes: Uint8Array) => {
      files.contents.set('net', bytes)
      return loadLearner('net', { platform, models: { tiny } })
    }
    const refused = async (bytes: Uint8Array, message = 'its checksum does not match its contents') => {
      await expect(load(bytes)).rejects.toThrow(`net: a damaged file: ${message}`)
      await expect(learner.load('net')).rejects.toThrow(`net: a damaged file: ${message}`)
    }
    // A bit of each tensor's first number, which is finite all the same.
    const { tensors, metadata } = readSafetensors('net', good)
    const dataStart = 8 + Number(new DataView(good.buffer).getBigUint64(0, true))
    const header = JSON.parse(new TextDecoder().decode(good.slice(8, dataStart))) as Record<
      string,
      { data_offsets: [number] }
    >
    for (const name of tensors.keys()) {
      const flipped = good.slice()
      flipped[dataStart + header[name].data_offsets[0]] ^= 1
      await refused(flipped)
    }
    const withText = (from: string, to: string) => {
      const text = Buffer.from(good).toString('latin1')
      expect(text).toContain(from)
      return new Uint8Array(Buffer.from(text.replace(from, to.padEnd(from.length)), 'latin1'))
    }
    // As long as before, so that the numbers stay where they are.
    await refused(withText('[\\"across\\",\\"slanted\\",', '[\\"slanted\\",'))
    await refused(withText('"3.bias"', '"3.bjas"'))
    const weights = [...tensors].map(
      ([name, { shape, data }]) => [name, { shape, data: data as Float32Array }] as const,
    )
    // The numbers of a filter in another order.
    const [name, { shape, data }] = weights.find(([, { shape: sizes }]) => new Set(sizes).size > 1)!
    const turned = new Map(weights).set(name, { shape: shape.toReversed(), data })
    await refused(writeWeights(turned, metadata))
    // In another order, as Python writes them, and without it, as files of before.
    const { 'wgrad.sha256': checksum, ...others } = metadata
    expect(checksum).toMatch(/^[0-9a-f]{64}$/)
    await load(writeWeights(new Map(weights.toReversed()), metadata))
    await load(writeWeights(new Map(weights), others))
    // What is there but cannot be used.
    const nan = new Map(
      weights.map(([name, { shape, data }]) => [name, { shape, data: name === '3.bias' ? data.map(() => NaN) : data }]),
    )
    await expect(load(writeWeights(nan, others))).rejects.toThrow('net: 3.bias is not finite')
    await load(good)
  })

  test('checkpoints and saved models have one too', async () => {
    const { learner, files } = await tinyLearner()
    await learner.fit(1, 1e-2, { checkpoint: 'checkpoint' })
    await learner.save(FILE)
    for (const path of ['checkpoint', FILE]) {
      const bytes = await files.read(path)
      bytes[bytes.length - 4] ^= 1
      files.contents.set(path, bytes)
      await expect(learner.load(path)).rejects.toThrow(`${path}: a damaged file: its checksum`)
    }
    await expect(learner.fit(1, 1e-2, { checkpoint: 'checkpoint', resume: true })).rejects.toThrow(
      'checkpoint: a damaged file: its checksum',
    )
  })

  test('labels that are there twice are refused, and predictions that are no numbers', async () => {
    const { learner, files, platform } = await tinyLearner(
      {},
      memoryFiles(),
      tiny({ outputs: 3 }) as ReturnType<typeof tinyModel>,
    )
    await learner.export('net')
    await changeInfo(files, 'net', { vocab: ['across', 'across', 'upright'] })
    await expect(loadLearner('net', { platform, models: { tiny } })).rejects.toThrow(
      'net: a damaged file: its vocab is invalid',
    )
    const { value } = learner.model.states().find(({ path }) => path === '3.bias')!
    upload(value, [NaN, 0, 0])
    await expect(learner.predict('set/across/0.png')).rejects.toThrow("predict: the model's outputs are not finite")
  })
})

const tiny: ModelMaker = (options) => {
  const model = tinyModel(options as { outputs: number })
  model.architecture = { name: 'tiny', options }
  return model
}

describe('export', () => {
  test('one file says of an image what the learner says of it', async () => {
    const { learner, platform } = await tinyLearner(
      {},
      memoryFiles(),
      tiny({ outputs: 4 }) as ReturnType<typeof tinyModel>,
    )
    await learner.fitOneCycle(4, 1e-2)
    await learner.export('tiny.safetensors')
    const predictor = await loadLearner('tiny.safetensors', { platform, models: { tiny } })
    const { predictions, items } = await learner.getPredictions()
    for (const [row, item] of [...items].entries()) {
      const path = learner.loaders.valid.pictures.items[item]
      const [mine, theirs] = [await learner.predict(path), await predictor.predict(path)]
      expect(theirs).toEqual(mine)
      const whole = predictions.data.slice(row * 4, row * 4 + 4)
      mine.probabilities.forEach((value, i) => expect(value).toBeCloseTo(whole[i], 6))
      expect(mine.index).toBe(whole.indexOf(Math.max(...whole)))
      expect(mine.label).toBe(['across', 'slanted', 'upright'][mine.index] ?? 'output 3')
    }
    expect(predictor.vocab).toEqual(['across', 'slanted', 'upright'])
  })

  test('transforms in validation are those that go along, where they differ from those of training', async () => {
    const { learner, platform } = await tinyLearner({}, memoryFiles(), tiny({}) as ReturnType<typeof tinyModel>)
    const { loaders } = learner
    const valid = loaders.valid.with({
      itemTransforms: [resize(12)],
      batchTransforms: [normalize({ mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] })],
    })
    learner.loaders = new Loaders({ ...loaders, valid, platform })
    await learner.export('tiny.safetensors')
    const predictor = await loadLearner('tiny.safetensors', { platform, models: { tiny } })
    const item = loaders.valid.pictures.items[0]
    expect(await predictor.predict(item)).toEqual(await learner.predict(item))
  })

  test('a threshold for "none of these" goes along, and files without one have none', async () => {
    const { learner, platform, files } = await tinyLearner(
      {},
      memoryFiles(),
      tiny({ outputs: 3 }) as ReturnType<typeof tinyModel>,
    )
    await learner.fitOneCycle(4, 1e-2)
    const load = (path: string) => loadLearner(path, { platform, models: { tiny } })
    await learner.export('plain')
    expect((await load('plain')).threshold).toBe(0)
    await learner.export('given', { threshold: 0.25 })
    expect((await load('given')).threshold).toBe(0.25)

    const { threshold, right, rightKnown } = suggestThreshold(await learner.getPredictions())
    expect(right).toBeGreaterThan(0)
    await learner.export('found', { threshold: 'suggest' })
    expect(platform.lines.at(-1)).toContain(
      `"none of these" below a probability of ${threshold.toFixed(3)}; of the validation items that leaves ${rightKnown} of ${right} right`,
    )
    const predictor = await load('found')
    expect(predictor.threshold).toBe(threshold)
    const { pictures, items } = learner.loaders.valid
    const all = await predictor.predictAll(
      Array.from(items, (item) => pictures.items[item]),
      { batchSize: 4 },
    )
    const { labels } = learner.loaders.valid
    const known = all.filter(({ index, isKnown }, row) => isKnown && labels[items[row]] === index)
    expect(known.length).toBe(rightKnown)

    // Written by hand, or damaged.
    await changeInfo(files, 'found', { threshold: 2 })
    await expect(load('found')).rejects.toThrow('found: a damaged file: its threshold is invalid')
    await expect(learner.export('no', { threshold: 1.5 })).rejects.toThrow(OptionError)
    await expect(learner.export('no', { threshold: 'sugest' as 'suggest' })).rejects.toThrow("or 'suggest'")
  })

  test('predicting changes nothing about training', async () => {
    const { learner } = await tinyLearner()
    await learner.fit(1)
    const before = await everything(learner)
    learner.model.train()
    await learner.predict('set/across/0.png')
    expect(learner.model.training).toBe(true)
    expect(await everything(learner)).toEqual(before)
  })

  test('nor while a fit goes on that does not wait for it', async () => {
    const fit = async (aside: (learner: Learner) => void) => {
      const { learner } = await tinyLearner()
      await learner.fit(1, 1e-2, { callbacks: [{ name: 'aside', order: 0, beforeTrain: () => aside(learner) }] })
      return everything(learner)
    }
    const asked: Promise<unknown>[] = []
    const disturbed = await fit((learner) => void asked.push(learner.predict('set/across/0.png')))
    await Promise.all(asked)
    expect(disturbed).toEqual(await fit(() => {}))
  })

  test('pixels that are not as many as the picture has are refused', async () => {
    const { learner, platform } = await tinyLearner(
      {},
      memoryFiles(),
      tiny({ outputs: 3 }) as ReturnType<typeof tinyModel>,
    )
    await learner.export('tiny.safetensors')
    const predictor = await loadLearner('tiny.safetensors', { platform, models: { tiny } })
    await expect(predictor.predictPixels({ width: 4, height: 4, data: new Uint8Array(10) })).rejects
      .toThrowErrorMatchingInlineSnapshot(`
      [OptionError: predict: the number of bytes does not match the size of the image
        width   4
        height  4
        bytes   10
        expected one byte per pixel (grey), three (red, green, blue), or four, of which the last is ignored]
    `)
  })

  test('in mixed precision too', async () => {
    const { learner } = await tinyLearner()
    await learner.toFp16().fit(1)
    const { probabilities } = await learner.predict('set/across/0.png')
    expect(probabilities.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5)
  })

  test('a file that cannot be decoded is named', async () => {
    const files = memoryFiles()
    const platform = fakePlatform({ files })
    const model = xresnet18({ outputs: 3, activation: 'mish', pool: 'maxBlur' })
    const { learner } = await tinyLearner({}, files, model)
    await learner.export('net.safetensors')
    const predictor = await loadLearner('net.safetensors', { platform })
    expect(predictor.model.architecture).toEqual(model.architecture)
    await expect(predictor.predict('broken-9x9.png')).rejects.toThrow('broken-9x9.png: not an image')
    expect((await predictor.predict('red-9x7.png')).probabilities).toHaveLength(3)
  })

  const transform = { kind: 'normalize', order: 99, mean: [0, 0, 0], std: [1, 1, 1] }
  test.each<[string, Record<string, Json | undefined>, string]>([
    ['no architecture', { architecture: undefined }, 'its architecture is invalid'],
    ['an architecture without a name', { architecture: { options: {} } }, 'its architecture is invalid'],
    ['an architecture without options', { architecture: { name: 'xresnet18' } }, 'its architecture is invalid'],
    [
      'options that are none',
      { architecture: { name: 'xresnet18', options: null } },
      'xresnet18: its options must be an object',
    ],
    ['no labels', { vocab: undefined }, 'its vocab is invalid'],
    ['a label that is no text', { vocab: ['across', 5, 'upright'] }, 'its vocab is invalid'],
    ['an activation that is none', { activation: 'relu' }, 'its activation is invalid'],
    ['a threshold that is none', { threshold: 'suggest' }, 'its threshold is invalid'],
    ['targets that are none', { target: { kind: 'boxes' } }, "targets of the kind 'boxes' are unknown"],
    [
      'statistics that are no list',
      { batchTransforms: [{ ...transform, mean: 5 }] },
      'normalize: three means and three deviations are needed',
    ],
    [
      'statistics that are missing',
      { batchTransforms: [{ ...transform, std: null }] },
      'normalize: three means and three deviations are needed',
    ],
    ['no size', { batchTransforms: [{ kind: 'crop' }] }, 'randomResizedCropGpu: size is out of range'],
    [
      'no ratio',
      { batchTransforms: [{ kind: 'crop', size: 8, ratio: null }] },
      'randomResizedCropGpu: the ratio is a range',
    ],
  ])('a damaged file is refused, and named: %s', async (_name, changes, message) => {
    const { learner, platform, files } = await tinyLearner(
      {},
      memoryFiles(),
      tiny({ outputs: 3 }) as ReturnType<typeof tinyModel>,
    )
    await learner.export('net')
    await changeInfo(files, 'net', changes)
    const loading = loadLearner('net', { platform, models: { tiny } })
    await expect(loading).rejects.toThrow(DataError)
    await expect(loading).rejects.toThrow(/^net: (?!net: )/)
    await expect(loading).rejects.toThrow(message)
  })

  test('what a damaged file has there is shown', async () => {
    const { learner, platform, files } = await tinyLearner(
      {},
      memoryFiles(),
      tiny({ outputs: 3 }) as ReturnType<typeof tinyModel>,
    )
    await learner.export('net')
    await changeInfo(files, 'net', { architecture: undefined })
    await expect(loadLearner('net', { platform })).rejects.toThrowErrorMatchingInlineSnapshot(`
      [DataError: net: a damaged file: its architecture is invalid
        architecture  missing
        expected { name, options }, such as { name: 'xresnet18', options: {} }
        Fix: write it again, or use another file]
    `)
  })

  test('in half precision: filters and matrices are rounded, and everything is loaded again', async () => {
    const model = tiny({ outputs: 3 }) as ReturnType<typeof tinyModel>
    const { learner, platform, files } = await tinyLearner({}, memoryFiles(), model)
    await learner.fit(1, 1e-2)
    await learner.export('full')
    await learner.export('half', { precision: 'f16' })
    const weights = await model.stateDict()
    const { tensors } = readSafetensors('half', await files.read('half'))
    for (const [name, { dtype, shape, data }] of tensors) {
      const exact = weights.get(name)!
      expect([name, dtype, shape]).toEqual([name, exact.shape.length > 1 ? 'F16' : 'F32', exact.shape])
      expect(data).toEqual(dtype === 'F16' ? exact.data.map(roundToHalf) : exact.data)
    }
    const [full, half] = await Promise.all(
      ['full', 'half'].map(async (path) => {
        const predictor = await loadLearner(path, { platform, models: { tiny } })
        return (await predictor.predict('set/across/1.png')).probabilities
      }),
    )
    const differences = full.map((value, i) => Math.abs(value - half[i]))
    expect(Math.max(...differences)).toBeGreaterThan(0)
    expect(Math.max(...differences)).toBeLessThan(1e-2)
    await learner.load('half')
    for (const [name, { data }] of await model.stateDict()) expect(data).toEqual(tensors.get(name)!.data)
  })

  test('in half precision: weights beyond its range are refused, and nothing is written', async () => {
    const { learner, files } = await tinyLearner(
      {},
      memoryFiles(),
      tiny({ outputs: 3 }) as ReturnType<typeof tinyModel>,
    )
    learner.model.parameters().at(-2)!.write(new Float32Array(48).fill(-65520))
    await expect(learner.export('half', { precision: 'f16' })).rejects.toThrow(
      'f16: 3.weight has a value beyond the range of half precision',
    )
    expect(await files.exists('half')).toBe(false)
    await expect(learner.export('half', { precision: 'half' } as never)).rejects.toThrow("expected 'f32' or 'f16'")
  })

  test('refuses models without a name, and files that say nothing of their weights', async () => {
    const { learner, platform, files } = await tinyLearner()
    await expect(learner.export('x')).rejects.toThrow(
      'export: the model has no `architecture`, so that it could not be made again from the file',
    )
    await learner.save(FILE)
    await expect(loadLearner(FILE, { platform })).rejects.toThrowErrorMatchingInlineSnapshot(`
      [DataError: models/tiny.safetensors: this file is not an exported learner: it lacks the architecture, labels and transforms
        kind     model
        version  none
        expected a file written by \`learner.export(path)\`, version 1
        Fix: load it with \`learner.load(path)\`, then export the learner]
    `)
    const named = (await tinyLearner({}, files, tiny({ outputs: 3 }) as ReturnType<typeof tinyModel>)).learner
    await named.export('named')
    await expect(loadLearner('named', { platform })).rejects.toThrow("named: the architecture 'tiny'")
    await expect(loadLearner('named', { platform, models: { tiny: () => tiny({ outputs: 7 }) } })).rejects.toThrow(
      'named: loadStateDict: the shape of 3.weight differs',
    )
  })
})
