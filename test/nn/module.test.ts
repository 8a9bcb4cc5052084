import { describe, expect, test } from 'vitest'
import { ShapeError } from '../../src/base/errors.ts'
import { BatchNorm } from '../../src/nn/batch-norm.ts'
import { ConvLayer } from '../../src/nn/conv-layer.ts'
import { filled, Init } from '../../src/nn/init.ts'
import { Linear } from '../../src/nn/linear.ts'
import { Module } from '../../src/nn/module.ts'
import { GlobalAvgPool } from '../../src/nn/pool.ts'
import { Parameter, StateTensor } from '../../src/nn/parameter.ts'
import { MaxPool } from '../../src/nn/pool.ts'
import { Relu } from '../../src/nn/relu.ts'
import { Sequential } from '../../src/nn/sequential.ts'
import { exportOnnx } from '../../src/onnx/export-onnx.ts'
import { adam } from '../../src/optim/adam.ts'
import { backward } from '../../src/tensor/backward.ts'
import { roundToHalf } from '../../src/tensor/half.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import { sum } from '../../src/ops/sum.ts'
import { release, scope } from '../../src/tensor/scope.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { expectClose } from '../../src/testing/close.ts'
import { channelsFirst } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'

const gpu = await openTestGpu()

/** Odd widths, so that storage is padded. */
function network(seed = 1): Sequential {
  const init = new Init(seed)
  return new Sequential([
    new ConvLayer({ inChannels: 3, outChannels: 6, stride: 2, init }),
    [
      'body',
      new Sequential([new ConvLayer({ inChannels: 6, outChannels: 5, kernelSize: 1, activation: 'none', init })]),
    ],
  ])
}
/** Module that declares what it is told to, from outside. */
class Own extends Module {
  field: unknown

  forward(x: Tensor): Tensor {
    return x
  }
  put(name: string, child: Module): void {
    this.addChild(name, child)
  }
  give(parameter: Parameter): void {
    this.addParameter(parameter)
  }
}
const pictures = () => tensor(hashUniform(2 * 9 * 7 * 3, 5, -1, 1), [2, 9, 7, 3])

describe('modules', () => {
  test('have paths, a mode, and children', () => {
    const model = network()
    expect(model.states().map(({ path }) => path)).toEqual([
      '0.0.weight',
      '0.1.weight',
      '0.1.bias',
      '0.1.running_mean',
      '0.1.running_var',
      'body.0.0.weight',
      'body.0.1.weight',
      'body.0.1.bias',
      'body.0.1.running_mean',
      'body.0.1.running_var',
    ])
    expect(model.children().map(([name]) => name)).toEqual(['0', 'body'])
    const inner = model.children()[1][1].children()[0][1]
    expect([model.training, inner.training]).toEqual([true, true])
    expect(model.eval().training).toBe(false)
    expect(inner.training).toBe(false)
    expect(model.train() && inner.training).toBe(true)
    expect(model.parameters()[3].value.name).toBe('body.0.0.weight')
  })

  test('say which layer an input does not fit', () => {
    expect(() => network().summary([1, 8, 8, 4])).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: 0.0.weight: the input does not fit the convolution
        input   [1,8,8,4]
        weight  [6,3,3,3]
        expected [N,H,W,3]]
    `)
    expect(() => new Linear(3, 2, new Init(0)).summary([4, 5])).toThrow(ShapeError)
    expect(() => network().parameters()[0].write([1, 2])).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: 0.0.weight: the number of values differs from the number of elements
        shape    [6,3,3,3]
        numbers  2]
    `)
  })

  test('refuse a field with a layer, a list of layers or a parameter that is not declared', async () => {
    const model = new Own()
    expect(model.parameters()).toEqual([])
    const held: [value: unknown, how: string][] = [
      [new Linear(2, 2, new Init(0)), "Fix: this.addChild('field', layer)"],
      [[new Relu(), new BatchNorm(2)], 'a list as a Sequential'],
      [new Parameter('scale', [2], 'weight', filled([2], 1)), 'Fix: this.addParameter'],
      [new StateTensor('mean', [2], filled([2], 0)), 'or addBuffer'],
    ]
    for (const [value, how] of held) {
      model.field = value
      // Within another model as well, in training and where it is saved.
      const outer = new Sequential([model])
      for (const of of [model, outer]) {
        expect(() => of.parameters()).toThrow(
          'Own: the field field is not declared, so it would not be trained and saved',
        )
        expect(() => of.buffers()).toThrow(how)
        expect(() => of.stateDict()).toThrow('Own: ')
      }
    }
    model.field = new Linear(2, 2, new Init(0))
    expect(() => model.parameters()).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: Own: the field field is not declared, so it would not be trained and saved
        Fix: this.addChild('field', layer), a list as a Sequential; or #field for what is not a part of it]
    `)
    // Further down, and in a list, they are declared.
    const relu = new Relu()
    model.field = [relu]
    model.put('body', new Sequential([relu]))
    expect(model.modules()).toContain(relu)
    expect(model.parameters()).toEqual([])
  })

  test('refuse a name that is taken', () => {
    const model = new Own()
    const linear = () => new Linear(2, 2, new Init(0))
    model.put('a', linear())
    expect(() => model.put('a', linear())).toThrowErrorMatchingInlineSnapshot(`[OptionError: Own: a is declared twice]`)
    expect(() => model.give(new Parameter('a', [1], 'weight', filled([1], 0)))).toThrow('a is declared twice')
    model.give(new Parameter('b', [1], 'weight', filled([1], 0)))
    expect(() => model.give(new Parameter('b', [1], 'weight', filled([1], 0)))).toThrow('b is declared twice')
  })

  test('that stand in two places have their parameters once', () => {
    const shared = new Linear(2, 2, new Init(0))
    const model = new Sequential([shared, new Relu(), shared])
    expect(model.states().map(({ path }) => path)).toEqual(['2.weight', '2.bias'])
    const optimizer = adam()([model.parameters()])
    const scaler = new LossScaler({ mixed: false })
    scope(() => backward(sum(model.forward(tensor([1, 1], [1, 2]))), scaler.scale))
    optimizer.step(scaler)
    optimizer.close()
    scaler.close()
  })

  test('that get a place in another model have the paths of that one', () => {
    const body = new Sequential([new Linear(2, 2, new Init(0))])
    const first = new Sequential([['body', body]])
    expect(first.parameters().map(({ path }) => path)).toEqual(['body.0.weight', 'body.0.bias'])
    const second = new Sequential([new Relu(), ['trunk', body]])
    expect(second.parameters().map(({ path }) => path)).toEqual(['trunk.0.weight', 'trunk.0.bias'])
  })

  test('have parameters of a shape and numbers that fit', () => {
    const scale = (...of: unknown[]) =>
      new (Parameter as unknown as new (...of: unknown[]) => Parameter)('scale', ...of)
    expect(() => scale([2.5], 'weight', () => [1, 2])).toThrow('scale: a shape must consist of positive integers')
    expect(() => new Linear(0, 2, new Init(0))).toThrow('weight: a shape must consist of positive integers')
    expect(() => scale([2], 'weight', () => [1, 2, 3]).value).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: scale: the number of values differs from the number of elements
        shape    [2]
        numbers  3]
    `)
  })

  test('pool windows side by side unless they are told otherwise, as in PyTorch', () => {
    expect(new MaxPool({ kernelSize: 3 }).describe([1, 9, 7, 2])[0].output).toEqual([1, 3, 2, 2])
    expect(new MaxPool({ kernelSize: 3, stride: 2, padding: 1 }).describe([1, 9, 7, 2])[0].output).toEqual([1, 5, 4, 2])
    expect(() => new MaxPool({} as { kernelSize: number })).toThrow('MaxPool: kernelSize is not of the right kind')
  })

  test('that return no tensor are named', () => {
    const model = new Own()
    model.forward = (() => undefined) as never
    expect(() => new Sequential([model]).summary([1, 2])).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: module Own: its output is not of the right kind
        its output  undefined
        expected a tensor
        Fix: return it synchronously, as steps are recorded]
    `)
    model.forward = (() => Promise.reject(new Error('late'))) as never
    expect(() => model.summary([1, 2])).toThrow('Fix: return it synchronously')
    expect(() => (model.summary as (input: unknown) => string)(224)).toThrow('summary: input is not of the right kind')
  })

  test('refuse a window that is none', () => {
    const init = new Init(0)
    for (const kernelSize of [0, -1, 1.5, NaN]) {
      expect(() => new ConvLayer({ inChannels: 3, outChannels: 4, kernelSize, init })).toThrow(
        'Conv: kernelSize is out of range',
      )
    }
  })

  test('move running statistics in training only', async () => {
    const model = network()
    const before = await read(model.buffers()[0].value)
    release(scope(() => noGrad(() => model.eval().forward(pictures()))))
    expect(await read(model.buffers()[0].value)).toEqual(before)
    release(scope(() => noGrad(() => model.train().forward(pictures()))))
    expect(await read(model.buffers()[0].value)).not.toEqual(before)
  })

  test("in evaluation hold no more than a layer's activations at once", () => {
    const init = new Init(1)
    const model = new Sequential(
      Array.from({ length: 8 }, () => new ConvLayer({ inChannels: 16, outChannels: 16, init })),
    ).eval()
    const x = tensor(hashUniform(32 * 32 * 16, 1), [1, 32, 32, 16])
    const bytes = x.view.size
    noGrad(() => release(model.forward(x)))
    const { buffers } = gpu
    const before = buffers.usedBytes
    buffers.peakUsedBytes = before
    const y = noGrad(() => model.forward(x))
    // A layer's input, what its convolution made, and its output; and the statistics of its norm, which are small.
    expect(buffers.peakUsedBytes - before).toBeGreaterThanOrEqual(3 * bytes)
    expect(buffers.peakUsedBytes - before).toBeLessThan(3.1 * bytes)
    expect(buffers.usedBytes - before).toBe(bytes)
    release(y)
    // What went in is the caller's.
    expect(x.view.size).toBe(bytes)
  })

  test.each([
    ['summary', (model: Module) => model.summary([1, 9, 7, 3])],
    ['exportOnnx', (model: Module) => exportOnnx(model, { size: [9, 7] })],
  ])('%s leaves each module in its mode', async (_name, use) => {
    /** A network without a description of its own. */
    class Own extends Module {
      readonly layers = this.addChild('layers', network())
      readonly pool = this.addChild('pool', new GlobalAvgPool())

      forward(x: Tensor): Tensor {
        return this.pool.forward(this.layers.forward(x))
      }
    }
    const model = new Own()
    const modes = () => model.modules().map(({ training }) => training)
    const [norm] = model.modules().filter((module) => module instanceof BatchNorm)
    norm.eval()
    const frozen = modes()
    await use(model)
    expect(modes()).toEqual(frozen)
    model.eval()
    norm.train()
    const adapting = modes()
    await use(model)
    expect(modes()).toEqual(adapting)
  })

  test('of which a sequence of none gives back what it was given', () => {
    const x = pictures()
    expect(new Sequential([]).forward(x)).toBe(x)
    expect(noGrad(() => new Sequential([new Sequential([])]).forward(x))).toBe(x)
    expect(x.view.size).toBeGreaterThan(0)
  })
})

describe('state dictionary', () => {
  test("is in PyTorch's layout, and comes back as it was", async () => {
    const model = network()
    const dict = await model.stateDict()
    expect(dict.get('0.0.weight')?.shape).toEqual([6, 3, 3, 3])
    const weight = model.parameters()[0]
    expect(dict.get('0.0.weight')?.data).toEqual(channelsFirst(await read(weight.value), weight.shape))
    const other = network(2)
    const tracked = new Map([...dict, ['0.1.num_batches_tracked', { shape: [], data: new Float32Array(1) }]])
    other.loadStateDict(tracked)
    expect(await other.stateDict()).toEqual(dict)
    const run = (each: Sequential) => read(scope(() => noGrad(() => each.eval().forward(pictures()))))
    expect(await run(other)).toEqual(await run(model))
  })

  test('has the names of the model that is asked, whatever else its layers stand in', async () => {
    const model = network()
    const dict = await model.stateDict()
    const last = new Sequential([model.layers[1]])
    const whole = new Sequential([['inner', model]])
    expect(await model.stateDict()).toEqual(dict)
    // The second layer alone has the names of the first one in the model.
    expect([...(await last.stateDict()).keys()][0]).toBe('0.0.0.weight')
    expect([...(await whole.stateDict()).keys()]).toEqual([...dict.keys()].map((name) => `inner.${name}`))
    model.loadStateDict(dict)
    const reading = model.stateDict()
    last.states()
    expect([...(await reading).keys()]).toEqual([...dict.keys()])
  })

  test('that does not fit is refused, and changes nothing', async () => {
    const model = network()
    const before = await model.stateDict()
    const other = await network(2).stateDict()
    const renamed = new Map(other)
    renamed.delete('0.0.weight')
    expect(() => model.loadStateDict(renamed.set('0.0.wait', { shape: [1], data: new Float32Array(1) })))
      .toThrowErrorMatchingInlineSnapshot(`
      [DataError: loadStateDict: the names in the checkpoint differ from those of the model
        missing  0.0.weight
        surplus  0.0.wait
        Fix: build the same architecture with the same options as the one that was saved]
    `)
    const reshaped = new Map(other).set('body.0.0.weight', { shape: [5, 1, 1, 6], data: new Float32Array(30) })
    expect(() => model.loadStateDict(reshaped)).toThrowErrorMatchingInlineSnapshot(`
      [DataError: loadStateDict: the shape of body.0.0.weight differs
        checkpoint  [5,1,1,6]
        model       [5,6,1,1]
        numbers     30
        Fix: build the model with the options it was saved with, such as \`outputs\`]
    `)
    expect(await model.stateDict()).toEqual(before)
  })
})

describe('in f16', () => {
  const half = () => tensor(hashUniform(2 * 9 * 7 * 3, 5, -1, 1), [2, 9, 7, 3], 'f16')

  test.each([false, true])(
    "weights are the rounded ones, gradients f32, with an optimizer's copies: %s",
    async (copies) => {
      const [exact, rounded] = [network(), network()]
      if (copies) adam()([rounded.parameters()]).keepF16Copies()
      const gradients = []
      for (const [model, x] of [
        [exact, pictures()],
        [rounded, half()],
      ] as const) {
        const y = model.forward(x)
        expect(y.dtype).toBe(x.dtype)
        backward(y, tensor(hashUniform(2 * 5 * 4 * 5, 6, -1, 1), y.shape, y.dtype))
        gradients.push(await Promise.all(model.parameters().map(({ leaf }) => read(leaf.gradient!))))
      }
      for (const [i, { path, shape }] of exact.parameters().entries()) {
        // A path through two convolutions, two norms and a ReLU and back rounds its activations that often.
        expectClose(gradients[1][i], gradients[0][i], 'f16', { name: path, shape, roundings: 8 })
      }
      const weight = rounded.parameters()[0]
      expect([...(await read(weight.as(half().dtype)))]).toEqual(Array.from(await read(weight.value), roundToHalf))
      expect(weight.as(half().dtype) === weight.f16Copy).toBe(copies)
      weight.write(new Float32Array(weight.count).fill(0.1))
      expect(new Set(await read(weight.as(half().dtype)))).toEqual(new Set([roundToHalf(0.1)]))
      expect(new Set(await read(weight.as(pictures().dtype)))).toEqual(new Set([Math.fround(0.1)]))
    },
  )
})

test('batch norm with its follow-up', async () => {
  const norm = new BatchNorm(2, { weight: 0 })
  norm.bias.write([1, -3])
  const x = tensor([1, 2, 3, 4], [1, 1, 2, 2])
  const residual = tensor([0, 5, 1, 1], [1, 1, 2, 2])
  expect([...(await read(norm.forward(x, { relu: true, residual })))]).toEqual([1, 2, 2, 0])
  expect([...(await read(norm.forward(x)))]).toEqual([1, -3, 1, -3])
})
