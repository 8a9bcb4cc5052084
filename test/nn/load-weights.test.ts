import { describe, expect, test } from 'vitest'
import { Conv } from '../../src/nn/conv.ts'
import { Init } from '../../src/nn/init.ts'
import { loadWeights } from '../../src/nn/load-weights.ts'
import { resnet18 } from '../../src/nn/resnet.ts'
import { Sequential } from '../../src/nn/sequential.ts'
import type { StateDict } from '../../src/nn/state-dict.ts'
import { torchShape } from '../../src/nn/state-dict.ts'
import { fromTimm, timmNames, toTimm } from '../../src/nn/weight-names.ts'
import { readWeights, writeWeights } from '../../src/nn/weights.ts'
import { xresnet101, xresnet152, xresnet18, xresnet18Deep, xresnet34, xresnet50 } from '../../src/nn/xresnet.ts'
import type { Module } from '../../src/nn/module.ts'
import { elementCount } from '../../src/tensor/shape.ts'
import { read } from '../../src/tensor/read-write.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { tinyModel } from '../helpers/tiny.ts'

await openTestGpu()

/** Weights of a model's shapes, tensor number i being filled with i; no GPU is needed. */
function numbered(model: Module): StateDict {
  return new Map(
    model.states().map(({ path, shape }, i) => {
      return [path, { shape: torchShape(shape), data: new Float32Array(elementCount(shape)).fill(i) }]
    }),
  )
}

const firstOf = async (model: Module, name: string) =>
  (await read(model.states().find(({ path }) => path === name)!.value))[0]

describe("timm's names", () => {
  test.each([xresnet18, xresnet34, xresnet50, xresnet101, xresnet152])('%o there and back', (make) => {
    const names = make()
      .states()
      .map(({ path }) => path)
    const theirs = names.map((name) => toTimm(name) ?? 'none')
    expect(new Set(theirs).size).toBe(names.length)
    expect(theirs.map((name) => fromTimm(name))).toEqual(names)
    expect(theirs.every((name) => /^(conv1|bn1|layer[1-4]|fc)\./.test(name))).toBe(true)
  })

  test('are not made up for what timm does not have', () => {
    expect(() => timmNames(numbered(xresnet18Deep()))).toThrow('timm has no names for these weights')
    expect(() => timmNames(numbered(resnet18()))).toThrow('timm has no names for these weights')
    expect(toTimm('4.0.idpath.1.0.weight')).toBeUndefined()
    expect(fromTimm('layer1.1.downsample.1.weight')).toBeUndefined()
  })

  test('are written when asked for, and read again', async () => {
    const weights = numbered(xresnet18({ outputs: 5 }))
    const file = readWeights('a.safetensors', writeWeights(weights, {}, { names: 'timm' }))
    expect([...file.weights.keys()].slice(0, 2)).toEqual(['conv1.0.weight', 'conv1.1.weight'])
    const model = xresnet18({ outputs: 5 })
    expect(loadWeights(model, file.weights, { strict: true }).text).toBe('112 of 112 tensors loaded')
    expect(await firstOf(model, '11.bias')).toBe(111)
    expect(() => writeWeights(weights, {}, { names: 'tim' as 'timm' })).toThrow("expected 'own' or 'timm'")
  })
})

describe('loadWeights', () => {
  test('a head of other outputs stays as it was, and is reported in one line', async () => {
    const model = resnet18({ outputs: 5 })
    const before = await firstOf(model, 'fc.weight')
    const weights = new Map(numbered(resnet18()))
    weights.set('bn1.num_batches_tracked', { shape: [], data: Float32Array.of(7) })
    const report = loadWeights(model, weights)
    expect(report.matched).toHaveLength(100)
    expect(report).toMatchObject({
      missing: [],
      unexpected: [],
      mismatched: [
        { name: 'fc.weight', file: [1000, 512], model: [5, 512] },
        { name: 'fc.bias', file: [1000], model: [5] },
      ],
    })
    expect(report.text).toBe(
      '100 of 102 tensors loaded; left as initialised: fc.weight (1000×512 in the file, 5×512 here), fc.bias (1000 in the file, 5 here)',
    )
    expect(await firstOf(model, 'conv1.weight')).toBe(0)
    expect(await firstOf(model, 'layer4.1.bn2.running_var')).toBe(99)
    expect(await firstOf(model, 'fc.weight')).toBe(before)
  })

  test('strict wants all of it', () => {
    expect(() => loadWeights(resnet18({ outputs: 5 }), numbered(resnet18()), { strict: true }))
      .toThrowErrorMatchingInlineSnapshot(`
        [DataError: loadWeights: these are not the weights of this model
          fitting       100 of 102 tensors
          missing       none
          unexpected    none
          other shapes  fc.weight (1000×512 in the file, 5×512 here), fc.bias (1000 in the file, 5 here)
          Fix: build the same architecture with the same options, or allow another head: { strict: 'body' }]
      `)
  })

  test('weights of another network are refused, and nothing is changed', async () => {
    const model = xresnet18({ outputs: 5 })
    const before = await firstOf(model, '0.0.weight')
    // All tensors of xresnet18 are in xresnet34, under the same names.
    expect(() => loadWeights(model, numbered(xresnet34({ outputs: 5 })))).toThrowErrorMatchingInlineSnapshot(`
      [DataError: loadWeights: these are not the weights of this model
        fitting       112 of 112 tensors
        missing       none
        unexpected    4.2.convpath.0.0.weight, 4.2.convpath.0.1.weight, 4.2.convpath.0.1.bias, 4.2.convpath.0.1.running_mean … (80 in all)
        other shapes  none
        Fix: build the same architecture with the same options; { strict: false } loads whatever fits]
    `)
    expect(() => loadWeights(model, numbered(resnet18()))).toThrow('these are not the weights of this model')
    expect(await firstOf(model, '0.0.weight')).toBe(before)
  })

  test('only the first filters are added up over the colors', () => {
    const sizes = { kernelSize: 1, init: new Init(0) }
    const model = (inner: number) =>
      new Sequential([
        new Conv({ ...sizes, inChannels: 3, outChannels: 3 }),
        new Conv({ ...sizes, inChannels: inner, outChannels: 3 }),
      ])
    const { summed, mismatched } = loadWeights(model(1), numbered(model(3)), { strict: false })
    expect(summed).toEqual([])
    expect(mismatched.map(({ name }) => name)).toEqual(['1.weight'])
  })

  test('without strict whatever fits is loaded, if anything', async () => {
    const model = xresnet18({ outputs: 5 })
    const { text } = loadWeights(model, numbered(xresnet34({ outputs: 7 })), { strict: false })
    expect(text).toMatch(
      /^\d+ of 112 tensors loaded; left as initialised: 11\.weight .*; not in the model: 4\.2\..* … \(\d+ in all\)$/,
    )
    expect(await firstOf(model, '0.1.weight')).toBe(1)
    expect(() => loadWeights(tinyModel(), numbered(resnet18()), { strict: false })).toThrow('fitting       0 of')
    expect(() => loadWeights(model, new Map(), { strict: 'head' as 'body' })).toThrow("expected true, false or 'body'")
  })
})
