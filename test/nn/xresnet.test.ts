import { describe, expect, test } from 'vitest'
import { OptionError, ShapeError } from '../../src/base/errors.ts'
import type { Sequential } from '../../src/nn/sequential.ts'
import {
  xresnet101,
  xresnet152,
  xresnet18,
  xresnet18Deep,
  xresnet18Deeper,
  xresnet34,
  xresnet34Deep,
  xresnet34Deeper,
  xresnet50,
  xresnet50Deep,
  xresnet50Deeper,
  type XResNetOptions,
} from '../../src/nn/xresnet.ts'

const count = (model: Sequential) => model.parameters().reduce((sum, parameter) => sum + parameter.count, 0)

describe("parameters are as many as fastai's", () => {
  type Case = [string, (options?: XResNetOptions) => Sequential, number, number, number, number]
  const cases: Case[] = [
    ['18', xresnet18, 11_708_744, 11_200_874, 22, 68],
    ['34', xresnet34, 21_816_904, 21_309_034, 38, 116],
    ['50', xresnet50, 25_576_264, 23_547_754, 55, 167],
    ['101', xresnet101, 44_568_392, 42_539_882, 106, 320],
    ['152', xresnet152, 60_212_040, 58_183_530, 157, 473],
    ['18 deep', xresnet18Deep, 14_535_496, 14_281_066, 27, 83],
    ['34 deep', xresnet34Deep, 24_643_656, 24_389_226, 43, 131],
    ['50 deep', xresnet50Deep, 29_147_976, 28_133_226, 62, 188],
    ['18 deeper', xresnet18Deeper, 10_995_528, 10_741_098, 27, 83],
    ['34 deeper', xresnet34Deeper, 27_005_000, 26_750_570, 47, 143],
    ['50 deeper', xresnet50Deeper, 31_382_344, 30_367_594, 68, 206],
  ]
  test.each(cases)('xresnet%s', (_name, build, thousand, ten, convolutions, tensors) => {
    expect(count(build())).toBe(thousand)
    const model = build({ outputs: 10 })
    expect(count(model)).toBe(ten)
    expect(model.parameters()).toHaveLength(tensors)
    expect(model.parameters().filter(({ shape }) => shape.length === 4)).toHaveLength(convolutions)
    expect(model.buffers()).toHaveLength(2 * convolutions)
  })
})

test('widen multiplies the widths of the stages', () => {
  const half = xresnet18({ outputs: 10, widen: 0.5 })
  const shapes = half.states().map(({ path, shape }) => [path, shape])
  expect(shapes).toContainEqual(['2.0.weight', [64, 3, 3, 32]])
  expect(shapes).toContainEqual(['4.0.convpath.0.0.weight', [32, 3, 3, 64]])
  expect(shapes).toContainEqual(['7.1.convpath.1.0.weight', [256, 3, 3, 256]])
  expect(count(half)).toBe(2_836_778)
  // 16.64, rounded down as fastai's int(o*widen).
  const [block] = xresnet18({ widen: 0.26 })
    .parameters()
    .filter(({ path }) => path === '4.0.convpath.0.0.weight')
  expect(block.shape).toEqual([16, 3, 3, 64])
  expect(() => xresnet18({ widen: 0 })).toThrow(OptionError)
})

test('weights decay, biases and normalisation do not', () => {
  const parameters = xresnet18().parameters()
  const decayed = parameters.filter(({ kind }) => kind === 'weight')
  expect(decayed).toHaveLength(23)
  expect(decayed.reduce((sum, parameter) => sum + parameter.count, 0)).toBe(11_698_016)
  expect(parameters.filter(({ kind }) => kind === 'norm')).toHaveLength(44)
  expect(parameters.filter(({ kind }) => kind === 'bias').map(({ path }) => path)).toEqual(['11.bias'])
})

test("names are fastai's", () => {
  const names = (model: Sequential) => model.states().map(({ path }) => path)
  expect(names(xresnet18()).slice(0, 6)).toEqual([
    '0.0.weight',
    '0.1.weight',
    '0.1.bias',
    '0.1.running_mean',
    '0.1.running_var',
    '1.0.weight',
  ])
  expect(names(xresnet18()).filter((name) => name.startsWith('5.0.') && name.endsWith('weight'))).toEqual([
    '5.0.convpath.0.0.weight',
    '5.0.convpath.0.1.weight',
    '5.0.convpath.1.0.weight',
    '5.0.convpath.1.1.weight',
    '5.0.idpath.1.0.weight',
    '5.0.idpath.1.1.weight',
  ])
  expect(names(xresnet18()).slice(-2)).toEqual(['11.weight', '11.bias'])
  expect(names(xresnet18()).some((name) => name.startsWith('4.0.idpath'))).toBe(false)
  expect(names(xresnet50())).toContain('4.0.idpath.0.0.weight')
  expect(names(xresnet18Deep()).slice(-2)).toEqual(['13.weight', '13.bias'])
})

test('what it computes, layer by layer', () => {
  const model = xresnet18()
  const outputs = (size: number) => {
    const rows = model.describe([1, size, size, 3])
    return model.children().map(([name]) =>
      rows
        .filter(({ path }) => path.split('.')[0] === name)
        .at(-1)!
        .output.slice(1)
        .join('×'),
    )
  }
  expect(outputs(128)).toEqual([
    '64×64×32',
    '64×64×32',
    '64×64×64',
    '32×32×64',
    '32×32×64',
    '16×16×128',
    '8×8×256',
    '4×4×512',
    '512',
    '1000',
  ])
  expect(
    outputs(224)
      .slice(0, 8)
      .map((text) => Number(text.split('×')[0])),
  ).toEqual([112, 112, 112, 56, 56, 28, 14, 7])
  // Where the average pool overhangs.
  expect(
    outputs(100)
      .slice(0, 8)
      .map((text) => Number(text.split('×')[0])),
  ).toEqual([50, 50, 50, 25, 25, 13, 7, 4])
  expect(
    xresnet50()
      .describe([2, 128, 128, 3])
      .filter(({ path }) => /^\d\.2\.convpath\.2\.1$/.test(path))
      .map(({ output }) => output),
  ).toEqual([
    [2, 32, 32, 256],
    [2, 16, 16, 512],
    [2, 8, 8, 1024],
    [2, 4, 4, 2048],
  ])
})

test('summary', () => {
  const lines = xresnet18({ outputs: 10 }).summary([64, 128, 128, 3]).split('\n')
  expect(
    [...lines.slice(0, 8), '…', ...lines.slice(24, 30), '…', ...lines.slice(-3)]
      .map((line) => line.trimEnd())
      .join('\n'),
  ).toMatchInlineSnapshot(`
    "path              layer             output          parameters    MFLOP
    0.0               conv 3×3 / 2      [64,64,64,32]          864    453.0
    0.1               batch norm        [64,64,64,32]           64
    1.0               conv 3×3          [64,64,64,32]        9,216   4831.8
    1.1               batch norm        [64,64,64,32]           64
    2.0               conv 3×3          [64,64,64,64]       18,432   9663.7
    2.1               batch norm        [64,64,64,64]          128
    3                 max pool 3×3 / 2  [64,32,32,64]
    …
    5.1.convpath.0.1  batch norm        [64,16,16,128]         256
    5.1.convpath.1.0  conv 3×3          [64,16,16,128]     147,456   4831.8
    5.1.convpath.1.1  batch norm        [64,16,16,128]         256
    6.0.idpath.0      avg pool 2×2 / 2  [64,8,8,128]
    6.0.idpath.1.0    conv 1×1          [64,8,8,256]        32,768    268.4
    6.0.idpath.1.1    batch norm        [64,8,8,256]           512
    …
    8                 global avg pool   [64,512]
    11                linear            [64,10]              5,130      0.7
    total                                               11,200,874  85816.1"
  `)
  expect(() => xresnet18().summary([64, 128, 128, 4])).toThrow(ShapeError)
})

test('options out of range', () => {
  expect(() => xresnet18({ outputs: 0 })).toThrow(OptionError)
  expect(() => xresnet18({ channels: 1.5 })).toThrow(OptionError)
  expect(() => xresnet18({ activation: 'swish' as 'mish' })).toThrow('ConvLayer: unknown activation')
  expect(() => xresnet18({ pool: 'avg' as 'max' })).toThrow('xresnet: unknown pool')
})

test('another activation and pool leave names and number of the parameters alone', () => {
  const model = xresnet50({ outputs: 10, activation: 'mish', pool: 'maxBlur' })
  expect(model.states().map(({ path }) => path)).toEqual(
    xresnet50({ outputs: 10 })
      .states()
      .map(({ path }) => path),
  )
  expect(model.describe([1, 128, 128, 3]).map(({ layer }) => layer)).toContain('max blur pool 2×2 / 2')
  // Two pixels instead of three at the border of an odd size.
  const pooled = (options: XResNetOptions) =>
    xresnet18(options)
      .describe([1, 70, 70, 3])
      .find(({ path }) => path === '3')!.output
  expect([pooled({}), pooled({ pool: 'maxBlur' })]).toEqual([
    [1, 18, 18, 64],
    [1, 17, 17, 64],
  ])
})
