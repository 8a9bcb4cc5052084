import { expect, test } from 'vitest'
import * as data from '../src/exports/data.ts'
import * as gpu from '../src/exports/gpu.ts'
import * as nn from '../src/exports/nn.ts'
import * as tensors from '../src/exports/tensor.ts'
import * as testing from '../src/exports/testing.ts'
import * as train from '../src/exports/train.ts'
import * as wgrad from '../src/node.ts'
import { ANY, checkOptions } from '../src/base/options.ts'
import { OptionError } from '../src/base/errors.ts'
import { openTestGpu } from './helpers/gpu.ts'
import { tinyLoaders, tinyModel } from './helpers/tiny.ts'

await openTestGpu()

// Options as JavaScript lets them through.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
const library = { ...wgrad, ...data, ...gpu, ...nn, ...tensors, ...testing, ...train } as any
const loaders = await tinyLoaders()
const learner = (options: object = {}) => new library.Learner(loaders, tinyModel(), options)
const block = () =>
  new library.DataBlock({
    blocks: [wgrad.ImageBlock(), wgrad.CategoryBlock()],
    getItems: () => ['a/1.png', 'b/2.png', 'a/3.png', 'b/4.png'],
    getY: wgrad.parentLabel,
  })
const block2 = (transforms: object) =>
  new library.DataBlock({
    blocks: [wgrad.ImageBlock(), wgrad.CategoryBlock()],
    getItems: () => [],
    getY: wgrad.parentLabel,
    ...transforms,
  })
const loader = () => library.Loader.prototype.with.bind(loaders.train)
const init = new nn.Init(0)
const zeros = (...shape: number[]) => tensors.zeros(shape)

/** Calls with one unknown option, and the name that the message suggests; '' where none is near. */
const CALLS: Readonly<Record<string, readonly [suggested: string, call: (options: object) => unknown, name: string]>> =
  {
    // Data
    'loaders, fastai’s name': ['batchSize', (o) => block().loaders('set', o), 'bs'],
    loaders: ['itemWeights', (o) => block().loaders('set', o), 'item_weights'],
    summary: ['batchSize', (o) => block().summary('set', o), 'batch_size'],
    DataBlock: ['itemTransforms', (o) => new library.DataBlock(o), 'item_tfms'],
    ImageBlock: ['decoder', (o) => library.ImageBlock(o), 'decode'],
    CategoryBlock: ['vocab', (o) => library.CategoryBlock(o), 'vocabulary'],
    'Loaders.test': ['labels', (o) => loaders.test(['a.png'], o), 'label'],
    'Loader.with': ['batchSize', (o) => loader()(o), 'bs'],
    'Loader.batches': ['shuffle', (o) => loaders.train.batches(o).next(), 'shufle'],
    'Loader.hostBatches': ['epoch', (o) => loaders.train.hostBatches(o).next(), 'epochs'],
    'Loader.oneBatch': ['draws', (o) => loaders.train.oneBatch(o), 'draw'],
    'Loader.order': ['shuffle', (o) => loaders.train.order(o), 'shufle'],
    PixelCache: ['gpuBytes', (o) => new library.PixelCache(0, o), 'gpuByte'],
    batchStats: ['epoch', (o) => library.batchStats(loaders.train, o), 'epochs'],
    showBatch: ['count', (o) => library.showBatch(loaders.train, undefined, o), 'counts'],
    batchImages: ['count', (o) => library.batchImages(loaders.train, o), 'counts'],
    resize: ['method', (o) => library.resize(8, o), 'methode'],
    normalize: ['std', (o) => library.normalize({ ...wgrad.imagenetStats, ...o }), 'sdt'],
    randomResizedCrop: ['minScale', (o) => library.randomResizedCrop(8, o), 'min_scale'],
    randomResizedCropGpu: ['minScale', (o) => library.randomResizedCropGpu(8, o), 'min_scale'],
    randomCrop: ['padding', (o) => library.randomCrop(8, o), 'pad'],
    cropPad: ['padMode', (o) => library.cropPad(8, o), 'pad_mode'],
    trivialAugment: ['bins', (o) => library.trivialAugment(o), 'num_bins'],
    randAugment: ['magnitude', (o) => library.randAugment(o), 'magnitud'],
    flip: ['padMode', (o) => library.flip(o), 'pad_mode'],
    dihedral: ['batch', (o) => library.dihedral(o), 'batchs'],
    rotate: ['maxDeg', (o) => library.rotate(o), 'max_deg'],
    zoom: ['maxZoom', (o) => library.zoom(o), 'max_zoom'],
    warp: ['magnitude', (o) => library.warp(o), 'magnitud'],
    brightness: ['maxLighting', (o) => library.brightness(o), 'max_lighting'],
    contrast: ['maxLighting', (o) => library.contrast(o), 'max_lighting'],
    'own item transform': [
      'runsOn',
      (o) => block2({ itemTransforms: [{ name: 'a', runsOn: 'both', apply: String, ...o }] }),
      'runOn',
    ],
    'own batch transform': [
      'replayable',
      (o) => loader()({ batchTransforms: [{ name: 'a', runsOn: 'both', apply: String, ...o }] }),
      'replay',
    ],
    augTransforms: ['maxRotate', (o) => library.augTransforms(o), 'max_rotate'],
    randomErasing: ['maxCount', (o) => library.randomErasing(o), 'max_count'],
    hue: ['maxHue', (o) => library.hue(o), 'max_hue'],
    saturation: ['maxLighting', (o) => library.saturation(o), 'max_lighting'],
    randomSplitter: ['validPercent', (o) => library.randomSplitter(o), 'valid_pct'],
    grandparentSplitter: ['valid', (o) => library.grandparentSplitter(o), 'valid_name'],
    stratifiedSplitter: ['validPercent', (o) => library.stratifiedSplitter({ labelOf: String, ...o }), 'valid_pct'],
    kFold: ['stratified', (o) => library.kFold(2, o), 'stratify'],
    getImageFiles: ['recurse', (o) => library.getImageFiles('a', o), 'recursive'],
    getImagesFromCsv: ['file', (o) => library.getImagesFromCsv('a', o), 'files'],
    verifyImages: ['platform', (o) => library.verifyImages([], o), 'platforms'],
    resizeImages: ['size', (o) => library.resizeImages('a', { size: 8, dest: 'b', ...o }), 'sizes'],
    untarData: ['force', (o) => library.untarData('https://example.org/a.tgz', o), 'forced'],
    hubModel: ['revision', (o) => library.hubModel('timm/a', o), 'revisions'],
    sampleData: ['images', (o) => library.sampleData(o), 'image'],
    readImageFolder: ['valid', (o) => library.readImageFolder('a', o), 'validation'],
    surveyImages: ['decoding', (o) => library.surveyImages({}, o), 'decodings'],
    // Models
    xresnet18: ['outputs', (o) => library.xresnet18(o), 'output'],
    resnet18: ['outputs', (o) => library.resnet18(o), 'n_outputs'],
    visionModel: ['dropout', (o) => library.visionModel(wgrad.resnet18, { outputs: 2, ...o }), 'drop_out'],
    Conv: ['stride', (o) => new library.Conv({ inChannels: 3, outChannels: 8, init, ...o }), 'strides'],
    ConvLayer: ['activation', (o) => new library.ConvLayer({ inChannels: 3, outChannels: 8, init, ...o }), 'act'],
    ResBlock: [
      'stride',
      (o) => new library.ResBlock({ expansion: 1, inChannels: 8, width: 8, stride: 1, init, ...o }),
      'strides',
    ],
    Linear: ['bias', (o) => new library.Linear(8, 2, init, o), 'biases'],
    BatchNorm: ['weight', (o) => new library.BatchNorm(8, o), 'weights'],
    'Conv, in groups': ['groups', (o) => new library.Conv({ inChannels: 4, outChannels: 8, init, ...o }), 'group'],
    LayerNorm: ['eps', (o) => new library.LayerNorm(8, o), 'epsilon'],
    LayerScale: ['start', (o) => new library.LayerScale(8, o), 'starts'],
    SqueezeExcite: ['squeezed', (o) => new library.SqueezeExcite({ channels: 8, init, ...o }), 'squeeze'],
    Gelu: ['approximate', (o) => new library.Gelu(o), 'aproximate'],
    MaxPool: ['stride', (o) => new library.MaxPool({ kernelSize: 2, stride: 2, padding: 0, ...o }), 'strides'],
    Sequential: ['recomputed', (o) => new library.Sequential([new nn.Relu()], o), 'recompute'],
    loadWeights: ['strict', (o) => library.loadWeights(tinyModel(), new Map(), o), 'stict'],
    writeWeights: ['precision', (o) => library.writeWeights(new Map(), {}, o), 'precission'],
    exportOnnx: ['size', (o) => library.exportOnnx(tinyModel(), { size: 16, ...o }), 'sizes'],
    // Tensors and operations
    conv2d: ['padding', (o) => library.conv2d(zeros(1, 4, 4, 4), zeros(4, 3, 3, 4), o), 'pad'],
    layerNorm: ['eps', (o) => library.layerNorm(zeros(2, 4), zeros(4), zeros(4), o), 'epsilon'],
    gelu: ['approximate', (o) => library.gelu(zeros(4), o), 'approximation'],
    maxPool: ['stride', (o) => library.maxPool(zeros(1, 4, 4, 4), { kernelSize: 2, stride: 2, ...o }), 'strides'],
    avgPool: ['stride', (o) => library.avgPool(zeros(1, 4, 4, 4), { kernelSize: 2, stride: 2, ...o }), 'strides'],
    dropout: ['p', (o) => library.dropout(zeros(4), tensors.zeros([1], 'u32'), { p: 0.5, ...o }), 'ps'],
    softmaxCrossEntropy: [
      'smoothing',
      (o) => library.softmaxCrossEntropy(zeros(2, 4), { a: tensors.zeros([2], 'u32') }, o),
      'label_smoothing',
    ],
    'softmaxCrossEntropy, its targets': [
      'mix',
      (o) => library.softmaxCrossEntropy(zeros(2, 4), { a: tensors.zeros([2], 'u32'), ...o }),
      'mixed',
    ],
    batchNorm: [
      'training',
      (o) =>
        library.batchNorm(zeros(2, 4), zeros(4), zeros(4), {
          runningMean: zeros(4),
          runningVar: zeros(4),
          training: true,
          ...o,
        }),
      'train',
    ],
    launch: [
      'constants',
      (o) => library.launch('relu/forward', { x: zeros(4), y: zeros(4) }, { ...tensors.elementwise(zeros(4)), ...o }),
      'constant',
    ],
    defineOp: [
      'required',
      (o) =>
        library.defineOp({
          name: 'mine',
          plan: () => 0,
          forward: (_: number, [x]: never[]) => x,
          backward: () => [],
          ...o,
        }),
      'require',
    ],
    // Training
    Learner: ['weightDecay', (o) => learner(o), 'wd'],
    visionLearner: ['pretrained', (o) => library.visionLearner(loaders, wgrad.resnet18, o), 'pretrain'],
    fit: ['weightDecay', (o) => learner().fit(1, 1e-3, o), 'wd'],
    fitOneCycle: ['pctStart', (o) => learner().fitOneCycle(1, 1e-3, o), 'pct_start'],
    fitFlatCos: ['divFinal', (o) => learner().fitFlatCos(1, 1e-3, o), 'div_final'],
    fitSgdr: ['cycleMult', (o) => learner().fitSgdr(1, 1, o), 'cycle_mult'],
    fineTune: ['freezeEpochs', (o) => learner().fineTune(1, 1e-3, o), 'freeze_epochs'],
    lrFind: ['suggest', (o) => learner().lrFind(o), 'suggest_funcs'],
    getPredictions: ['loader', (o) => learner().getPredictions(o), 'loaders'],
    tta: ['useMax', (o) => learner().tta(o), 'use_max'],
    save: ['withOptimizer', (o) => learner().save('a', o), 'with_opt'],
    load: ['withOptimizer', (o) => learner().load('a', o), 'with_opt'],
    export: ['precision', (o) => learner().export('a', o), 'precission'],
    'Learner.exportOnnx': ['size', (o) => learner().exportOnnx('a.onnx', o), 'sizes'],
    predict: ['threshold', (o) => learner().predict('a.png', o), 'treshold'],
    loadLearner: ['platform', (o) => library.loadLearner('a', o), 'platforms'],
    convertLearner: [
      'precision',
      (o) => library.convertLearner('a', 'b', { platform: loaders.platform, ...o }),
      'precission',
    ],
    readPretrained: ['revision', (o) => library.readPretrained('a.pth', o), 'revisions'],
    crossEntropy: ['weight', (o) => library.crossEntropy(o), 'weights'],
    labelSmoothing: ['weight', (o) => library.labelSmoothing(0.1, o), 'weights'],
    focalLoss: ['gamma', (o) => library.focalLoss(o), 'gama'],
    precision: ['average', (o) => library.precision(o), 'averages'],
    balancedAccuracy: ['adjusted', (o) => library.balancedAccuracy(o), 'adjust'],
    rocAuc: ['multiClass', (o) => library.rocAuc(o), 'multi_class'],
    cohenKappa: ['weights', (o) => library.cohenKappa(o), 'weight'],
    adam: ['squareMomentum', (o) => library.adam(o), 'sqr_mom'],
    sgd: ['momentum', (o) => library.sgd(o), 'mom'],
    radam: ['beta', (o) => library.radam(o), 'betas'],
    ranger: ['eps', (o) => library.ranger(o), 'epsilon'],
    lookahead: ['k', (o) => library.lookahead(library.sgd(), o), 'ks'],
    saveModel: ['monitor', (o) => library.saveModel(o), 'monitors'],
    earlyStopping: ['patience', (o) => library.earlyStopping(o), 'patiance'],
    reduceLrOnPlateau: ['minLr', (o) => library.reduceLrOnPlateau(o), 'min_lr'],
    csvLogger: ['append', (o) => library.csvLogger('a.csv', o), 'apend'],
    progressEvents: ['everyMs', (o) => library.progressEvents(() => {}, o), 'every'],
    scheduler: ['momentum', (o) => library.scheduler([{ lr: () => 1, ...o }]), 'mom'],
    oneCycle: ['pctStart', (o) => library.oneCycle(1, o), 'pct_start'],
    flatCos: ['divFinal', (o) => library.flatCos(1, o), 'div_final'],
    learningRates: ['start', (o) => library.learningRates({ stop: 1, ...o }, 2), 'strat'],
    suggestThreshold: ['', (o) => library.suggestThreshold({}, o), 'nothing'],
    cleaningList: ['count', (o) => library.cleaningList(learner(), o), 'counts'],
    gradCam: ['layer', (o) => library.gradCam(learner(), 'a.png', o), 'layers'],
    showResults: ['count', (o) => library.showResults(learner(), undefined, o), 'counts'],
    plotTopLosses: ['count', (o) => library.plotTopLosses(learner(), undefined, o), 'counts'],
    topLosses: ['largest', async (o) => (await interpretation()).topLosses(2, o), 'larges'],
    'cleaningList of an interpretation': ['split', async (o) => (await interpretation()).cleaningList([], o), 'splits'],
    report: ['suspects', (o) => learner().report(undefined, o), 'suspect'],
    plotConfusionMatrix: ['normalize', async (o) => (await interpretation()).plotConfusionMatrix(o), 'normalise'],
    lrFindPlot: ['skipEnd', (o) => library.lrFindPlot({ lrs: [1, 2], losses: [1, 2], suggestions: {} }, o), 'skip_end'],
    lineChart: ['title', (o) => library.lineChart({ title: '', lines: [], ...o }), 'titel'],
    gradcheck: ['samples', (o) => library.gradcheck('f', () => zeros(1), {}, o), 'sample'],
    expectClose: ['roundings', (o) => library.expectClose([1], [1], 'f32', o), 'rounding'],
    measureKernel: ['rounds', (o) => library.measureKernel(undefined, undefined, o), 'round'],
    // The machine
    openGpu: ['adapter', (o) => library.openGpu(o), 'adaptor'],
    openGpuOn: ['family', (o) => library.openGpuOn(loaders.platform, o), 'famly'],
    createNodePlatform: ['threads', (o) => library.createNodePlatform(o), 'thread'],
    tune: ['seconds', (o) => library.tune(o), 'second'],
  }

async function interpretation() {
  return new wgrad.ClassificationInterpretation(await learner().getPredictions(), loaders.vocab)
}

test.each(Object.entries(CALLS))('%s', async (_text, [suggested, call, name]) => {
  const failure: unknown = await (async () => call({ [name]: 1 }))().then(
    () => 'it was accepted',
    (error: unknown) => error,
  )
  expect(failure).toBeInstanceOf(OptionError)
  expect(String(failure)).toContain(`there is no option '${name}'`)
  if (suggested !== '') expect(String(failure)).toContain(`Fix: write ${suggested}`)
})

test('a range of learning rates has no other names', async () => {
  await expect(learner().fit(1, { stop: 1e-3, begin: 1e-4 })).rejects.toThrow('expected a number, or { start, stop }')
})

test('the name of another library is understood by its words', () => {
  const options = ['batchSize', 'itemTransforms', 'batchTransforms', 'validPercent', 'squareMomentum', 'eps', 'seed']
  const meant = (name: string) => {
    try {
      checkOptions('f', { [name]: 1 }, Object.fromEntries(options.map((option) => [option, ANY])))
    } catch (error) {
      return /Fix: write (\w+)/.exec(String(error))?.[1]
    }
    throw new Error('it was accepted')
  }
  const names = [
    'bs',
    'item_tfms',
    'batch_tfms',
    'valid_pct',
    'sqr_mom',
    'epsilon',
    'BATCHSIZE',
    'random_seed',
    'nothing',
    '',
  ]
  expect(names.map(meant)).toEqual([
    'batchSize',
    'itemTransforms',
    'batchTransforms',
    'validPercent',
    'squareMomentum',
    'eps',
    'batchSize',
    'seed',
    undefined,
    undefined,
  ])
})
