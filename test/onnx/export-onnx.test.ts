import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { imagenetStats } from '../../src/data/augment/normalize.ts'
import { OptionError, WgradError } from '../../src/base/errors.ts'
import { BatchNorm } from '../../src/nn/batch-norm.ts'
import { Conv } from '../../src/nn/conv.ts'
import { filled, Init } from '../../src/nn/init.ts'
import { LayerNorm } from '../../src/nn/layer-norm.ts'
import { Linear } from '../../src/nn/linear.ts'
import { Module } from '../../src/nn/module.ts'
import { Parameter } from '../../src/nn/parameter.ts'
import { GlobalAvgPool } from '../../src/nn/pool.ts'
import { Sequential } from '../../src/nn/sequential.ts'
import { exportOnnx, type OnnxOptions } from '../../src/onnx/export-onnx.ts'
import { EXPORTED_OPERATIONS } from '../../src/onnx/operations.ts'
import { add } from '../../src/ops/add.ts'
import { batchNorm } from '../../src/ops/batch-norm.ts'
import { cast } from '../../src/ops/cast.ts'
import { globalAvgPool } from '../../src/ops/global-avg-pool.ts'
import { mul } from '../../src/ops/mul.ts'
import { relu } from '../../src/ops/relu.ts'
import { reshape } from '../../src/ops/reshape.ts'
import { softmax } from '../../src/ops/softmax.ts'
import { halfToFloat, roundToHalf } from '../../src/tensor/half.ts'
import { elementwise, empty, launch } from '../../src/tensor/launch.ts'
import { defineOp } from '../../src/tensor/op.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { zeros } from '../../src/tensor/read-write.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { decodeOnnx, faultsOf, type Model } from '../helpers/onnx.ts'
import { tinyModel } from '../helpers/tiny.ts'
import { scramble } from './networks.ts'

await openTestGpu()

const FLOAT = 1
const FLOAT16 = 10

async function exported(model: Module, options: Partial<OnnxOptions> = {}): Promise<Model> {
  const decoded = decodeOnnx(await exportOnnx(model, { size: 16, ...options }))
  expect(faultsOf(decoded)).toEqual([])
  return decoded
}

/** A module of one's own around a function. */
class Own extends Module {
  private readonly work: (x: Tensor) => Tensor
  constructor(work: (x: Tensor) => Tensor) {
    super()
    this.work = work
  }
  forward(x: Tensor): Tensor {
    return this.work(x)
  }
  override describe(): never {
    throw new Error('not needed')
  }
}

const head = () => new Linear(3, 2, new Init(0))

/** The numbers of an initializer. */
function numbersOf(model: Model, name: string): number[] {
  const tensor = model.graph?.initializer?.find((one) => one.name === name)
  const bytes = Uint8Array.from(tensor?.rawData ?? [])
  if (tensor?.dataType === FLOAT16) return Array.from(new Uint16Array(bytes.buffer), halfToFloat)
  return [...new Float32Array(bytes.buffer)]
}

describe('the file', () => {
  test('says what goes in and what comes out', async () => {
    const model = await exported(tinyModel(), { size: [16, 20], labels: ['a', 'größer', '犬'], logits: true })
    const dims = (values: NonNullable<Model['graph']>['input']) =>
      values?.map(({ name, type }) => [
        name,
        ...(type?.tensorType?.shape?.dim ?? []).map(({ dimParam, dimValue }) => dimParam || Number(dimValue)),
      ])
    expect(dims(model.graph?.input)).toEqual([['image', 'batch', 3, 16, 20]])
    expect(dims(model.graph?.output)).toEqual([
      ['probabilities', 'batch', 3],
      ['logits', 'batch', 3],
    ])
    expect(model.producerName).toBe('wgrad')
    expect(model.docString).toBe(
      'image: float32 [batch,3,16,20], RGB from 0 to 1; ' +
        'probabilities: float32 [batch,3], of one class per image: their sum is 1',
    )
    expect(model.metadataProps.map(({ key, value }) => [key, value])).toEqual([['labels', '["a","größer","犬"]']])
  })

  test('has probabilities alone, and no labels, where nothing else is asked for', async () => {
    const model = await exported(tinyModel())
    expect(model.graph?.output?.map(({ name }) => name)).toEqual(['probabilities'])
    expect(model.metadataProps).toEqual([])
    expect(model.graph?.node?.[0]).toMatchObject({ opType: 'Conv', input: ['image', '0.0.weight'] })
  })

  test('normalizes first, and takes more metadata', async () => {
    const model = await exported(tinyModel(), { normalize: imagenetStats, metadata: { made: 'today' } })
    expect(model.graph?.node?.slice(0, 3).map(({ opType, input }) => [opType, input])).toEqual([
      ['Sub', ['image', 'mean']],
      ['Div', ['Sub', 'std']],
      ['Conv', ['Div', '0.0.weight']],
    ])
    expect(numbersOf(model, 'mean')).toEqual(imagenetStats.mean.map(Math.fround))
    expect(numbersOf(model, 'std')).toEqual(imagenetStats.std.map(Math.fround))
    expect(model.metadataProps).toMatchObject([{ key: 'made', value: 'today' }])
    expect(model.docString).toContain('RGB from 0 to 1, which the graph normalizes; ')
  })

  test("has the weights under their paths, in PyTorch's layouts", async () => {
    const own = scramble(tinyModel())
    const model = await exported(own)
    const weights = await own.stateDict()
    const initializers = model.graph?.initializer ?? []
    const names = initializers.map(({ name }) => name ?? '')
    expect(new Set(names)).toEqual(new Set(weights.keys()))
    for (const { name, dims } of initializers) {
      expect(dims?.map(Number)).toEqual(weights.get(name ?? '')?.shape)
      expect(numbersOf(model, name ?? '')).toEqual([...(weights.get(name ?? '')?.data ?? [])])
    }
  })

  test('f16: filters and matrices are halves, all else is float', async () => {
    const own = scramble(tinyModel())
    const model = await exported(own, { precision: 'f16' })
    const weights = await own.stateDict()
    const types = model.graph?.initializer?.map(({ name, dataType }) => [name, dataType])
    const halves = ['0.0.weight/f16', '1.0.weight/f16', '3.weight/f16']
    expect(types?.filter(([, type]) => type === FLOAT16).map(([name]) => name)).toEqual(halves)
    expect(types?.filter(([, type]) => type === FLOAT)).toHaveLength(9)
    const data = weights.get('3.weight')?.data ?? []
    expect(numbersOf(model, '3.weight/f16')).toEqual(Array.from(data, roundToHalf))
  })

  test('nodes are called after their modules', async () => {
    const model = await exported(tinyModel())
    expect(model.graph?.node?.map(({ name }) => name)).toEqual([
      '0.0/Conv',
      '0.1/BatchNormalization',
      '0.1/Relu',
      '1.0/Conv',
      '1.1/BatchNormalization',
      '1.1/Relu',
      '2/GlobalAveragePool',
      '2/Flatten',
      '3/Gemm',
      'probabilities',
    ])
  })
})

test('a model stays as it was, its mode and its forward', async () => {
  const own = tinyModel()
  own.train()
  await exportOnnx(own, { size: 16 })
  const refused = new Sequential([new Own(() => null as never)])
  await expect(exportOnnx(refused, { size: 16 })).rejects.toThrow(WgradError)
  for (const model of [own, refused]) {
    expect(model.training).toBe(true)
    expect(model.modules().filter((module) => Object.hasOwn(module, 'forward'))).toEqual([])
  }
  const replaced = new Sequential([new GlobalAvgPool(), head()])
  const forward = (x: Tensor) => globalAvgPool(relu(x))
  replaced.layers[0].forward = forward
  const model = await exported(replaced)
  expect(model.graph?.node?.[0].opType).toBe('Relu')
  expect(replaced.layers[0].forward).toBe(forward)
})

test('a layer that stands in two places has one weight', async () => {
  const conv = new Conv({ inChannels: 3, outChannels: 3, init: new Init(0) })
  const model = await exported(new Sequential([conv, conv, new GlobalAvgPool(), head()]))
  expect(model.graph?.node?.slice(0, 2).map(({ name }) => name)).toEqual(['1/Conv', '1/Conv_1'])
  expect(model.graph?.initializer).toHaveLength(3)
})

/** A module that computes by itself between its children, with a parameter that is called as an output of the graph. */
class Between extends Module {
  private readonly conv = this.addChild('conv', new Conv({ inChannels: 3, outChannels: 3, init: new Init(0) }))
  private readonly scale = this.addParameter(new Parameter('probabilities', [3], 'norm', filled([3], 1)))
  private readonly head = this.addChild('head', head())

  forward(x: Tensor): Tensor {
    return this.head.forward(mul(globalAvgPool(relu(this.conv.forward(x))), this.scale.value))
  }

  override describe(): never {
    throw new Error('not needed')
  }
}

test('what a module does itself after another is its own, and no name stands for two things', async () => {
  const { graph } = await exported(new Between())
  const names = graph?.node?.map(({ name }) => name)
  expect(names).toEqual([...['conv/Conv', 'Relu', 'GlobalAveragePool', 'Flatten', 'Mul', 'head/Gemm', 'probabilities']])
  expect(graph?.node?.[4].input).toEqual(['Flatten', 'probabilities_1'])
  expect(graph?.initializer?.map(({ name }) => name)).toContain('probabilities_1')
})

test('a layer norm keeps its eps, which is not that of ONNX', async () => {
  const model = await exported(new Sequential([new LayerNorm(3, { eps: 0.25 }), new GlobalAvgPool(), head()]))
  const norm = model.graph?.node?.find(({ opType }) => opType === 'LayerNormalization')
  expect(norm?.attribute?.find(({ name }) => name === 'epsilon')?.f).toBe(0.25)
})

test('a network that computes parts again in training has the same graph', async () => {
  const build = (recomputed: readonly (readonly [number, number])[]) =>
    scramble(new Sequential(tinyModel().layers, { recomputed }))
  expect(await exportOnnx(build([[0, 2]]), { size: 16 })).toEqual(await exportOnnx(build([]), { size: 16 }))
})

test('casts are left out: the graph is float throughout', async () => {
  const work = (x: Tensor) => globalAvgPool(cast(relu(cast(x, 'f16')), 'f32'))
  const model = await exported(new Sequential([new Own(work), head()]))
  expect(model.graph?.node?.map(({ opType }) => opType)).toEqual([
    'Relu',
    'GlobalAveragePool',
    'Flatten',
    'Gemm',
    'Softmax',
  ])
})

test('every operation that a network may have is exported', () => {
  const training = [
    'binary-cross-entropy',
    'cross-entropy',
    'drop-images',
    'dropout',
    'index',
    'regression-errors',
    'softmax',
    'sum',
  ]
  // One file has them all.
  const activations = ['gelu', 'geluTanh', 'hardSigmoid', 'hardSwish', 'mish', 'relu6', 'sigmoid', 'silu']
  const operations = readdirSync(new URL('../../src/ops', import.meta.url))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -3))
    .filter((file) => !training.includes(file) && file !== 'activations')
    .map((file) => file.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase()))
  expect([...EXPORTED_OPERATIONS].toSorted()).toEqual([...operations, ...activations].toSorted())
})

describe('refused is', () => {
  const refusal = async (model: Module, options: Partial<OnnxOptions> = {}): Promise<string> => {
    const error: unknown = await exportOnnx(model, { size: 16, ...options }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(WgradError)
    return String(error)
  }
  const around = (work: (x: Tensor) => Tensor) =>
    new Sequential([new Sequential([new Own(work)]), new GlobalAvgPool(), head()])

  test('an operation that is not known, with its module', async () => {
    const elu = defineOp<readonly [Tensor], undefined, undefined>({
      name: 'elu',
      plan: () => undefined,
      forward: (_plan, [x]) => empty(x),
      backward: (_plan, dy) => [dy],
    })
    expect(await refusal(around((x) => elu([x], undefined)))).toMatchInlineSnapshot(`
      "OptionError: exportOnnx: the operation 'elu' cannot be exported
        operation  elu: [1,16,16,3] → [1,16,16,3]
        module     0.0
        expected conv2d, linear, batchNorm, layerNorm, relu, sigmoid, silu, gelu, geluTanh, hardSigmoid, hardSwish, relu6, mul, mish, concat, add, maxPool, avgPool, maxBlurPool, globalMaxPool, globalAvgPool, reshape, cast
        Fix: write it with these, or export the network without it"
    `)
  })

  test('what launches kernels without being an operation', async () => {
    const bare = (x: Tensor) => {
      const y = empty(x)
      launch('relu/forward', { x, y }, elementwise(y))
      return relu(y)
    }
    expect(await refusal(around(bare))).toMatchInlineSnapshot(`
      "OptionError: exportOnnx: a tensor comes neither from the input nor from a parameter of the model
        read by  relu
        module   0.0
        tensor   [1,16,16,3] f32
        expected tensors made by operations (see \`defineOp\`), parameters and buffers that the module has added
        Fix: add it with addParameter or addBuffer; what launches kernels by itself must become an operation"
    `)
    expect(await refusal(around((x) => add(x, zeros(x.shape))))).toContain('comes neither from the input')
    expect(await refusal(new Sequential([new GlobalAvgPool(), new Own(softmax)]))).toContain('read by  softmax')
  })

  test('a norm that goes on training in evaluation', async () => {
    const norm = new BatchNorm(3)
    const training = (x: Tensor) =>
      batchNorm(x, norm.weight.value, norm.bias.value, {
        runningMean: norm.runningMean.value,
        runningVar: norm.runningVar.value,
        training: true,
      })
    expect(await refusal(around(training))).toMatchInlineSnapshot(`
      "OptionError: exportOnnx: batchNorm uses the statistics of the batch, although the model is in evaluation
        operation  batchNorm: [1,16,16,3] [3] [3] none → [1,16,16,3]
        module     0.0
        Fix: call it with { training: this.training }"
    `)
  })

  test('a network that mixes the images of a batch', async () => {
    const mixed = (x: Tensor) => {
      const [N, H, W, C] = x.shape
      return globalAvgPool(reshape(x, [1, N * H, W, C]))
    }
    expect(await refusal(new Sequential([new Own(mixed), head()]))).toContain('one row of outputs per image')
    const back = (x: Tensor) => reshape(relu(reshape(x, [1, x.shape[0] * 16, 16, 3])), x.shape)
    expect(await refusal(around(back))).toMatchInlineSnapshot(`
      "OptionError: exportOnnx: the network computes something else for another batch size
        first difference  0.0/Reshape
        expected the same operations for 1 and 2 images, and reshapes that keep the batch in the first axis"
    `)
  })

  test('another output than rows', async () => {
    expect(await refusal(new Sequential([new Conv({ inChannels: 3, outChannels: 3, init: new Init(0) })])))
      .toMatchInlineSnapshot(`
        "ShapeError: exportOnnx: the network does not give one row of outputs per image
          input   [1,16,16,3]
          output  [1,16,16,3]
          expected [1,outputs]
          Fix: end it with GlobalAvgPool (or flatten) and Linear"
      `)
    expect(await refusal(new Own(() => null as never))).toContain('forward does not return a tensor')
  })

  test('a network that does not fit the images', async () => {
    expect(await refusal(tinyModel(), { channels: 1 })).toContain('the channels of x and weight differ')
  })

  test('more labels than outputs', async () => {
    expect(await refusal(tinyModel(), { labels: ['a', 'b', 'c', 'd'] })).toMatchInlineSnapshot(`
      "OptionError: exportOnnx: there are more labels than outputs
        labels   4
        outputs  3
        Fix: build the model with as many outputs as there are labels"
    `)
  })

  test.each([
    ['no size', { size: undefined }],
    ['half a pixel', { size: 16.5 }],
    ['no pixels', { size: [0, 16] }],
    ['three sides', { size: [16, 16, 3] }],
    ['no channels', { channels: 0 }],
    ['an unknown precision', { precision: 'f8' }],
    ['one label', { labels: 'a' }],
    ['statistics of two channels', { normalize: { mean: [0, 0], std: [1, 1] } }],
    ['a deviation of 0', { normalize: { mean: [0, 0, 0], std: [1, 0, 1] } }],
    ['no statistics', { normalize: {} }],
    ['an unknown option', { opset: 18 }],
  ])('%s', async (_what, options) => {
    await expect(exportOnnx(tinyModel(), { size: 16, ...options } as OnnxOptions)).rejects.toThrow(OptionError)
  })

  test('something else than a model', async () => {
    await expect(exportOnnx(tinyModel as never, { size: 16 })).rejects.toThrow(OptionError)
  })

  test('weights that are not finite, or too large for f16', async () => {
    const model = tinyModel()
    model.parameters()[0].write(new Float32Array(8 * 9 * 3).fill(1e5))
    await exported(model)
    expect(await refusal(model, { precision: 'f16' })).toMatchInlineSnapshot(`
      "NotFiniteError: f16: 0.0.weight has a value beyond the range of half precision
        0.0.weight[0]  100000
        expected at most 65504
        Fix: write it with { precision: 'f32' }"
    `)
    model.parameters()[0].write(new Float32Array(8 * 9 * 3).fill(Infinity))
    expect(await refusal(model)).toMatchInlineSnapshot(`
      "NotFiniteError: exportOnnx: 0.0.weight is not finite, so that no probability would be
        0.0.weight[0]  Infinity
        Fix: the training has diverged: train again, with a lower learning rate"
    `)
  })
})

describe('the check of files sees', () => {
  const good = exportOnnx(tinyModel(), { size: 16, logits: true, labels: ['a'] })
  const changed = async (change: (graph: NonNullable<Model['graph']>, model: Model) => void) => {
    const model = decodeOnnx(await good)
    change(model.graph!, model)
    return faultsOf(model)
  }

  test.each<[string, Parameters<typeof changed>[0], string]>([
    ['a value without origin', ({ initializer }) => void initializer?.pop(), 'reads 3.bias before it is defined'],
    ['nodes in disorder', ({ node }) => void node?.reverse(), 'before it is defined'],
    ['a value defined twice', ({ node }) => void (node![1].output = ['image']), 'image is defined once'],
    ['an output that is not computed', ({ output }) => void (output![0].name = 'y'), 'the output y is computed'],
    ['a node that nothing reads', ({ node }) => void node?.splice(-2, 1), 'the output probabilities is computed'],
    ['an unknown operator', ({ node }) => void (node![0].opType = 'Convolution'), 'that the standard has not'],
    [
      'an unknown attribute',
      ({ node }) => void (node![0].attribute![0].name = 'kernel'),
      'Conv has no attribute kernel',
    ],
    ['an attribute of another type', ({ node }) => void (node![0].attribute![0].type = 2), 'kernel_shape is INTS'],
    ['too few inputs', ({ node }) => void node![1].input!.pop(), 'has 4 inputs'],
    ['too few numbers', ({ initializer }) => void (initializer![0].dims = [9, 3, 3, 3]), 'bytes, not'],
    ['another opset', (_graph, model) => void (model.opsetImport[0].version = 18), 'opset 17'],
    ['no opset', (_graph, model) => void (model.opsetImport = []), 'opset 17'],
    ['metadata twice', (_graph, model) => void model.metadataProps.push(model.metadataProps[0]), 'distinct'],
    ['an input without shape', ({ input }) => void (input![0].type!.tensorType!.shape = {}), 'image has a shape'],
  ])('%s', async (_what, change, fault) => {
    expect((await changed(change)).join('\n')).toContain(fault)
  })
})
