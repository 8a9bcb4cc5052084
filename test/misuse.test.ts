import { describe, expect, test } from 'vitest'
import * as data from '../src/exports/data.ts'
import * as gpu from '../src/exports/gpu.ts'
import * as nn from '../src/exports/nn.ts'
import * as tensors from '../src/exports/tensor.ts'
import * as train from '../src/exports/train.ts'
import * as wgrad from '../src/node.ts'
import { OptionError, WgradError } from '../src/base/errors.ts'
import { openTestGpu } from './helpers/gpu.ts'
import { tinyLoaders, tinyModel } from './helpers/tiny.ts'

await openTestGpu()

// What JavaScript lets through, and TypeScript too where a value comes from elsewhere.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
const library = { ...wgrad, ...data, ...gpu, ...nn, ...tensors, ...train } as any
const loaders = await tinyLoaders()
const learner = (options: unknown = {}) => new library.Learner(loaders, tinyModel(), options)
const block = {
  blocks: [wgrad.ImageBlock(), wgrad.CategoryBlock()],
  getItems: () => ['a/1.png', 'b/2.png', 'a/3.png', 'b/4.png'],
  getY: wgrad.parentLabel,
}
const from = (more: object) =>
  new library.DataBlock({ ...block, ...more }).loaders('set', { platform: loaders.platform })

/** Returns the message of the error that a call throws or rejects with, after checking that it is a WgradError. */
async function refusal(call: () => unknown): Promise<string> {
  try {
    await call()
  } catch (error) {
    expect(error).toBeInstanceOf(WgradError)
    return String(error)
  }
  throw new Error('it was accepted')
}

test('another argument in the place of options is refused as such', async () => {
  const [x, labels] = [library.tensor([1, 2, 3], [1, 3]), library.tensor([0], [1], 'u32')]
  expect(await refusal(() => wgrad.crossEntropy().mean(x, labels))).toMatchInlineSnapshot(`
    "OptionError: softmaxCrossEntropy: options must be given by name
      options  of class Tensor
      expected { a, b, mix }, or none of them"
  `)
})

test('an operation or a kernel of a program has all its parts', async () => {
  const forward = () => {}
  expect(await refusal(() => library.defineOp({ name: 'mine', plan: forward, forward }))).toMatchInlineSnapshot(`
    "OptionError: defineOp: backward is not of the right kind
      backward  undefined
      expected a function"
  `)
  const same = library.defineOp({
    name: 'mine',
    plan: forward,
    forward: (_: unknown, [x]: unknown[]) => x,
    backward: forward,
  })
  expect(await refusal(() => same(library.zeros([2]), {}))).toContain('Fix: put it into a list')
  const kernel = { name: 'mine', pass: 'forward', rows: 1, columns: 1 }
  expect(await refusal(() => library.registerConvolutionKernel(kernel))).toContain('shader is not of the right kind')
  expect(await refusal(() => library.tune({ convolutions: kernel }))).toContain('convolutions is not of the right kind')
})

test('an option that does not exist is refused with the name that was meant', async () => {
  expect(await refusal(() => learner({ metric: [wgrad.accuracy] }))).toMatchInlineSnapshot(`
    "OptionError: Learner: there is no option 'metric'
      metric  a list: [the function accuracy]
      expected loss, metrics, optimizer, lr, callbacks, momentums, weightDecay, groups, seed, replay, tune
      Fix: write metrics"
  `)
  expect(await refusal(() => library.xresnet18(10))).toMatchInlineSnapshot(`
    "OptionError: xresnet: options must be given by name
      options  10
      expected { outputs, channels, activation, pool, widen, seed, recompute }, or none of them"
  `)
  expect(await refusal(() => learner().fitOneCycle(1, 1e-3, { wd: 0.1, unheard: 1 }))).toMatchInlineSnapshot(`
    "OptionError: fitOneCycle: there is no option 'wd'
      wd  0.1
      expected callbacks, weightDecay, resetOptimizer, checkpoint, resume, div, divFinal, pctStart, moms
      Fix: write weightDecay"
  `)
})

test('what a user of fastai writes is refused with how it is written here', async () => {
  const predictions = await learner().getPredictions()
  const said = async (call: () => unknown) => (await refusal(call)).split('\n').at(-1)?.trim()
  for (const [call, fix] of [
    [() => learner({ metrics: wgrad.accuracy }), 'Fix: put it into a list'],
    [() => learner({ metrics: library.f1Score }), 'Fix: call it: f1Score()'],
    [() => learner({ callbacks: wgrad.mixUp() }), 'Fix: put it into a list'],
    [() => from({ itemTransforms: wgrad.resize(8) }), 'Fix: put it into a list'],
    [() => learner().fit(1, { callbacks: [] }), 'Fix: options come after it: fit(epochs, lr, { … })'],
    [() => learner().fineTune(1, { freezeEpochs: 2 }), 'Fix: options come after it: fineTune(epochs, baseLr, { … })'],
    [
      () => new library.ClassificationInterpretation(learner(), loaders.vocab),
      'expected predictions, such as `await learner.getPredictions()`',
    ],
    [() => new library.ClassificationInterpretation(predictions), 'expected the names of the classes: `loaders.vocab`'],
    [() => library.suggestThreshold(learner().getPredictions()), 'Fix: await it'],
    [
      () => new library.TargetInterpretation(predictions, loaders.vocab),
      'expected the meaning of the targets: `loaders.target`',
    ],
  ] as const) {
    expect(await said(call)).toBe(fix)
  }
  expect(await refusal(() => library.gradientAccumulation({ items: 8 }))).toContain('items  { items }')
})

test('parts of a learner that are replaced by something else are refused by name', async () => {
  const replaced = (name: string, value: unknown) => Object.assign(learner(), { [name]: value })
  for (const [name, value, fix] of [
    ['loaders', loaders.train, 'expected loaders, such as `await block.loaders(path)`'],
    ['loss', wgrad.labelSmoothing, 'Fix: call it: labelSmoothing()'],
    ['callbacks', wgrad.mixUp(), 'Fix: put it into a list'],
  ] as const) {
    for (const call of [
      () => replaced(name, value).fit(1),
      () => replaced(name, value).validate(),
      () => replaced(name, value).predict('a/1.png'),
    ]) {
      const message = await refusal(call)
      expect(message).toContain(`learner: ${name} is not of the right kind`)
      expect(message).toContain(fix)
    }
  }
})

test('a loader in the place of options is told where it goes', async () => {
  expect(await refusal(() => learner().getPredictions(loaders.valid))).toMatchInlineSnapshot(`
    "OptionError: getPredictions: options must be given by name
      options  of class Loader
      expected { loader }, or none of them
      Fix: write { loader: … }"
  `)
  const fix = async (call: () => unknown) => (await refusal(call)).split('\n').at(-1)?.trim()
  expect(await fix(() => learner().tta(loaders.valid))).toBe('Fix: write { loader: … }')
  expect(await fix(() => wgrad.showResults(learner(), 'a.png', loaders.valid as object))).toBe(
    'Fix: write { loader: … }',
  )
  expect(await fix(() => learner().predictor().predictAll(loaders.valid))).toMatch('learner.getPredictions({ loader })')
})

test('what was forgotten is said', async () => {
  expect(await refusal(() => new library.Learner(Promise.resolve(loaders), tinyModel()))).toMatchInlineSnapshot(`
    "OptionError: Learner: loaders is not of the right kind
      loaders  a promise
      expected loaders, such as \`await block.loaders(path)\`
      Fix: await it"
  `)
  expect(await refusal(() => learner({ loss: wgrad.crossEntropy }))).toMatchInlineSnapshot(`
    "OptionError: Learner: loss is not of the right kind
      loss  the function crossEntropy
      expected a loss, such as crossEntropy()
      Fix: call it: crossEntropy()"
  `)
  expect(await refusal(() => learner({ metrics: [wgrad.accuracy, wgrad.topKAccuracy] }))).toMatchInlineSnapshot(`
    "OptionError: Learner: metrics is not of the right kind
      metrics  a list: [the function accuracy, the function topKAccuracy]
      expected a list, each a metric, such as accuracy or topKAccuracy(5), or metrics by name: { hits }
      Fix: call it: topKAccuracy()"
  `)
  expect(await refusal(() => learner({ optimizer: wgrad.adam }).fit(1))).toMatchInlineSnapshot(`
    "OptionError: adam: options must be given by name
      options  a list: [a list: [of class Parameter, of class Parameter, of class Parameter, of class Parameter, …]]
      expected { squareMomentum, eps, weightDecay, decayNormAndBias }, or none of them
      Fix: if adam itself was passed, pass adam()"
  `)
  expect(await refusal(() => from({ batchTransforms: [wgrad.augTransforms()] }))).toMatchInlineSnapshot(`
    "OptionError: DataBlock: batchTransforms is not of the right kind
      batchTransforms  a list: [a list: [{ kind, order, flips, maxRotate }, { kind, order, maxLighting, p }]]
      expected a list, each made by a function such as resize(224), or of your own: a function under another name than those, or { name, runsOn, apply, … }
      Fix: spread the inner list: [...list]"
  `)
})

describe.each<[string, readonly (readonly [text: string, call: () => unknown])[]]>([
  [
    'a learner',
    [
      ['loaders without await', () => new library.Learner(Promise.resolve(loaders), tinyModel())],
      ['no loaders', () => new library.Learner()],
      ['a loader for loaders', () => new library.Learner(loaders.train, tinyModel())],
      ['no model', () => new library.Learner(loaders)],
      ['a model that was not made', () => new library.Learner(loaders, wgrad.xresnet18)],
      ['options in a list', () => learner([wgrad.accuracy])],
      ['options as text', () => learner('adam')],
      ['no options but null', () => learner(null)],
      ['an unknown option', () => learner({ optimiser: wgrad.adam() })],
      ['an option called __proto__', () => learner(JSON.parse('{ "__proto__": 1 }'))],
      ['an option called constructor', () => learner({ constructor: 1 })],
      ['a loss that was not made', () => learner({ loss: wgrad.labelSmoothing })],
      ['a loss as text', () => learner({ loss: 'crossEntropy' })],
      ['metrics as texts', () => learner({ metrics: ['accuracy'] })],
      ['one metric without a list', () => learner({ metrics: wgrad.accuracy })],
      ['a metric that was not made', () => learner({ metrics: [wgrad.topKAccuracy] })],
      ['an optimizer as text', () => learner({ optimizer: 'adam' })],
      ['a factory that was not called: adam', () => learner({ optimizer: wgrad.adam }).fit(1)],
      ['a factory that was not called: sgd', () => learner({ optimizer: wgrad.sgd }).fit(1)],
      ['a factory that was not called: radam', () => learner({ optimizer: wgrad.radam }).fit(1)],
      ['a factory that was not called: ranger', () => learner({ optimizer: wgrad.ranger }).fit(1)],
      ['a factory that was not called: lookahead', () => learner({ optimizer: wgrad.lookahead }).fit(1)],
      ['an optimizer that makes none', () => learner({ optimizer: () => ({}) }).fit(1)],
      ['a learning rate as text', () => learner({ lr: '0.1' })],
      ['a callback that was not made', () => learner({ callbacks: [wgrad.mixUp] })],
      ['one callback without a list', () => learner({ callbacks: wgrad.mixUp() })],
      ['an event that there is not', () => learner({ callbacks: [{ name: 'a', order: 1, afterEpoc: () => {} }] })],
      ['an event of another library', () => learner({ callbacks: [{ name: 'a', order: 1, on_epoch_end: () => {} }] })],
      [
        'such an event in a class',
        () =>
          learner({
            callbacks: [
              new (class {
                name = 'a'
                order = 1
                after_batch() {}
              })(),
            ],
          }),
      ],
      ['groups that were made', () => learner({ groups: [tinyModel().parameters()] })],
      ['a seed as text', () => learner({ seed: '1' })],
      ['momentums as numbers', () => learner({ momentums: 0.9 })],
      ['replay as text', () => learner({ replay: 'no' })],
    ],
  ],
  [
    'training',
    [
      ['no epochs', () => learner().fit()],
      ['epochs as text', () => learner().fit('3')],
      ['a learning rate as text', () => learner().fit(1, '0.1')],
      ['a learning rate in a list', () => learner().fitOneCycle(1, [1e-3, 1e-2])],
      ['a range without its end', () => learner().fitFlatCos(1, { start: 1e-3 })],
      ['a decay under its short name', () => learner().fit(1, 1e-3, { wd: 0.1 })],
      ['options as a number', () => learner().fit(1, 1e-3, 5)],
      ['pctStart as text', () => learner().fitOneCycle(1, 1e-3, { pctStart: 'half' })],
      ['pctstart', () => learner().fitFlatCos(1, 1e-3, { pctstart: 0.5 })],
      ['lr in options of fitSgdr', () => learner().fitSgdr(1, 1, { lr: 0.1 })],
      ['freezeEpoch', () => learner().fineTune(1, 1e-3, { freezeEpoch: 2 })],
      ['a rate as text for fineTune', () => learner().fineTune(1, '1e-3')],
      ['a callback that was not made', () => learner().fit(1, 1e-3, { callbacks: [wgrad.mixUp] })],
      ['one suggestion without a list', () => learner().lrFind({ suggest: 'valley' })],
      ['a suggestion that is no method', () => learner().lrFind({ suggest: ['constructor'] })],
      ['toString as a suggestion', () => learner().lrFind({ suggest: ['toString'] })],
      ['steps under another name', () => learner().lrFind({ numIt: 50 })],
      ['a checkpoint that is no path', () => learner().fit(1, 1e-3, { checkpoint: true })],
    ],
  ],
  [
    'measuring and keeping',
    [
      [
        'a metric that waits',
        () =>
          learner({
            metrics: [
              async function later() {
                return 1
              },
            ],
          }).validate(),
      ],
      ['a metric that gives nothing', () => learner({ metrics: [function nothing() {}] }).validate()],
      ['a loss that waits', () => learner({ loss: { ...wgrad.crossEntropy(), each: async () => 1 } }).validate()],
      [
        'a loss with a function of its own for predictions',
        () => learner({ loss: { ...wgrad.crossEntropy(), probabilities: tensors.softmax } }).validate(),
      ],
      ['a loss that is a number', () => learner({ loss: { ...wgrad.crossEntropy(), mean: () => 1 } }).fit(1)],
      [
        'a model that waits',
        () => {
          const model = tinyModel()
          model.forward = (async () => 1) as never
          return new library.Learner(loaders, model).fit(1)
        },
      ],
      ['loaders for a loader', () => learner().validate(loaders)],
      ['a loader as text', () => learner().validate('valid')],
      ['a loader for options', () => learner().getPredictions(loaders.valid)],
      ['an unknown option of getPredictions', () => learner().getPredictions({ dl: loaders.valid })],
      ['n as text', () => learner().tta({ n: '4' })],
      ['an unknown option of tta', () => learner().tta({ N: 4, use_max: true })],
      ['useMax as text', () => learner().tta({ useMax: 'yes' })],
      ['no path to save to', () => learner().save()],
      ['no path to load from', () => learner().load('')],
      ['an address in the place of a path', () => library.loadLearner(new URL('https://example.org/m.safetensors'))],
      ['a file that was not awaited', () => library.loadLearner(Promise.resolve(new Uint8Array(8)))],
      ['an unknown option of exportOnnx', () => learner().exportOnnx('a.onnx', { opset: 18 })],
      ['an unknown option of export', () => learner().export('a', { half: true })],
      ['no path to export to', () => learner().export(undefined)],
      ['an unknown option of save', () => learner().save('a', { withOpt: false })],
      ['an unknown option of showResults', () => wgrad.showResults(learner(), 'a.png', { maxN: 9 } as object)],
      ['an unknown option of showBatch', () => wgrad.showBatch(loaders.train, 'a.png', { maxN: 9 } as object)],
      ['a file that is no path', () => library.csvLogger({ append: true })],
      ['an unknown option of csvLogger', () => library.csvLogger('a.csv', { apend: true })],
      ['an unknown option of saveModel', () => library.saveModel({ fname: 'a' })],
      ['an unknown option of earlyStopping', () => library.earlyStopping({ patiance: 3 })],
      ['an unknown option of reduceLrOnPlateau', () => library.reduceLrOnPlateau({ factors: 3 })],
      ['better as a number', () => library.earlyStopping({ better: 1 })],
      ['alpha as text', () => library.mixUp('0.4')],
      ['alpha in options', () => library.cutMix({ alpha: 1 })],
      ['a norm as text', () => library.gradientClip('1')],
      ['items as text', () => library.gradientAccumulation('32')],
      ['eps in options', () => library.labelSmoothing({ eps: 0.1 })],
      ['eps as text', () => library.labelSmoothing('0.1')],
      ['k as text', () => library.topKAccuracy('5')],
    ],
  ],
  [
    'models and optimizers',
    [
      ['outputs without their name', () => library.xresnet18(10)],
      ['an unknown option of a model', () => library.xresnet50({ classes: 10 })],
      ['outputs as text', () => library.xresnet18({ outputs: '10' })],
      ['a seed as text', () => library.xresnet18({ seed: 'a' })],
      ['an activation that is none', () => library.xresnet18({ activation: 'gelu' })],
      ['a pool that is none', () => library.xresnet18({ pool: 'constructor' })],
      ['an unknown option of adam', () => library.adam({ epsilon: 1e-5 })],
      ['an unknown option of sgd', () => library.sgd({ mom: 0.9 })],
      ['an unknown option of ranger', () => library.ranger({ mom: 0.9 })],
      ['a rate without its name', () => library.adam(1e-3)],
      ['momentum as text', () => library.sgd({ momentum: '0.9' })],
      ['an optimizer instead of a factory', () => library.lookahead({})],
      ['layers one by one', () => new library.Sequential(new library.GlobalAvgPool(), new library.GlobalAvgPool())],
      ['a layer that was not made', () => new library.Sequential([library.GlobalAvgPool])],
      ['a convolution of nothing', () => new library.Conv()],
      ['a convolution without its init', () => new library.Conv({ inChannels: 3, outChannels: 8 })],
      [
        'a convolution with a window',
        () => new library.ConvLayer({ inChannels: 3, outChannels: 8, window: 3, init: new library.Init(0) }),
      ],
      ['a linear layer without its init', () => new library.Linear(8, 3)],
      ['a batch norm of nothing', () => new library.BatchNorm()],
      ['a pool of numbers', () => new library.MaxPool(3, 2)],
      ['a pool without its stride', () => new library.AvgPool()],
      ['an input that is no tensor', () => tinyModel().forward([1, 2, 3] as never)],
    ],
  ],
  [
    'data',
    [
      ['a data block without options', () => new library.DataBlock()],
      ['a data block without getY', () => new library.DataBlock({ blocks: block.blocks, getItems: block.getItems })],
      ['blocks that were not made', () => from({ blocks: [wgrad.ImageBlock, wgrad.CategoryBlock] })],
      ['items that are a path', () => from({ getItems: 'images' })],
      ['a label function that was called', () => from({ getY: 'label' })],
      ['getX', () => from({ getX: () => 1 })],
      ['a splitter that was not made', () => from({ splitter: wgrad.randomSplitter })],
      ['the other splitter that was not made', () => from({ splitter: wgrad.grandparentSplitter })],
      ['a splitter that splits nothing', () => from({ splitter: () => undefined })],
      ['item transforms without a list', () => from({ itemTransforms: wgrad.resize(8) })],
      ['an item transform that was not made', () => from({ itemTransforms: [wgrad.resize] })],
      ['batch transforms in a list of their own', () => from({ batchTransforms: [wgrad.augTransforms()] })],
      ['a batch transform that was not made', () => from({ batchTransforms: [wgrad.normalize] })],
      ['a batch size under its short name', () => new library.DataBlock(block).loaders('a', { bs: 4 })],
      ['a batch size as text', () => new library.DataBlock(block).loaders('a', { batchSize: '4' })],
      ['a batch size without its name', () => new library.DataBlock(block).loaders('a', 4)],
      ['no path', () => new library.DataBlock(block).loaders()],
      ['a path that is none', () => library.getImageFiles(5)],
      ['one folder without a list', () => library.getImageFiles('a', { folders: 'train' })],
      ['a label of nothing', () => library.parentLabel()],
      ['a vocabulary without its name', () => library.CategoryBlock(['a', 'b'])],
      ['a share without its name', () => library.randomSplitter(0.2)],
      ['a share under another name', () => library.randomSplitter({ validPct: 0.2 })],
      ['a folder without its name', () => library.grandparentSplitter('val')],
      ['a size as text', () => library.resize('224')],
      ['a method without its name', () => library.resize(224, 'squish')],
      ['an unknown option of randomResizedCrop', () => library.randomResizedCrop(224, { min_scale: 0.3 })],
      ['an unknown option of augTransforms', () => library.augTransforms({ flip: false })],
      ['a size without its name', () => library.augTransforms(224)],
      ['a flag as a number', () => library.augTransforms({ doFlip: 0 })],
      ['an unknown option of randomErasing', () => library.randomErasing({ sh: 0.3 })],
      ['an unknown option of hue', () => library.hue({ max: 0.3 })],
      ['an unknown option of saturation', () => library.saturation({ maxSaturation: 0.3 })],
      ['one file without a list', () => library.Loaders.prototype.test.call(loaders, 'a.png')],
      ['labels without their name', () => library.Loaders.prototype.test.call(loaders, ['a.png'], ['across'])],
      ['a data set that is no address', () => library.untarData()],
      ['an unknown option of untarData', () => library.untarData('https://example.org/a.tgz', { dest: 'a' })],
      ['an unknown option of sampleData', () => library.sampleData({ n: 10 })],
      ['an unknown option of getImagesFromCsv', () => library.getImagesFromCsv('a', { csv: 'a.csv' })],
    ],
  ],
  [
    'tensors and the GPU',
    [
      ['a tensor of a text', () => library.tensor('abc', [3])],
      ['a tensor without a shape', () => library.tensor([1, 2])],
      ['a tensor of lists', () => library.tensor([[1], [2]], [2, 1])],
      ['a tensor of texts', () => library.tensor(['1', '2'], [2])],
      ['a tensor of a number', () => library.tensor(5, [1])],
      ['a shape that is a number', () => library.tensor([1, 2], 2)],
      ['a type that is none', () => library.tensor([1], [1], 'f64')],
      ['an upload of a text', () => library.upload(library.tensor([1], [1]), 'a')],
      ['an operation on a list', () => library.relu([1, 2])],
      ['a convolution without its weight', () => library.conv2d(library.zeros([1, 4, 4, 4]))],
      [
        'a convolution with strides',
        () => library.conv2d(library.zeros([1, 4, 4, 4]), library.zeros([1, 3, 3, 4]), { strides: 2 }),
      ],
      ['a pool without its window', () => library.maxPool(library.zeros([1, 4, 4, 4]))],
      ['a pool with its window as a number', () => library.avgPool(library.zeros([1, 4, 4, 4]), 2)],
      [
        'a loss with labels as they are',
        () => library.softmaxCrossEntropy(library.zeros([2, 4]), library.zeros([2], 'u32')),
      ],
      [
        'a loss with eps',
        () => library.softmaxCrossEntropy(library.zeros([2, 4]), { a: library.zeros([2], 'u32') }, { eps: 0.1 }),
      ],
      [
        'a batch norm without options',
        () => library.batchNorm(library.zeros([2, 4]), library.zeros([4]), library.zeros([4])),
      ],
      ['an operation on nothing', () => library.relu()],
      ['an operation on a tensor and a number', () => library.add(library.tensor([1], [1]), 2)],
      ['a GPU by its name', () => library.openGpu('software')],
      ['an unknown option of openGpu', () => library.openGpu({ device: 'software' })],
      ['an adapter that is none', () => library.openGpu({ adapter: 'constructor' })],
    ],
  ],
])('%s', (_what, calls) => {
  test.each(calls)('%s', async (_text, call) => {
    const message = await refusal(call)
    // Where, and what to do about it or what was expected.
    expect(message).toMatch(/^\w+Error: [^\n]+\n[^]*(expected|Fix:)/)
  })
})

test('options that are right, or left out as undefined, pass', () => {
  learner({ metrics: undefined, lr: undefined })
  learner({
    loss: wgrad.labelSmoothing(),
    optimizer: wgrad.ranger({ k: 5 }),
    metrics: [wgrad.topKAccuracy(2)],
    replay: false,
  })
  expect(() => learner({ lr: undefined, lrs: undefined })).toThrow(OptionError)
})
