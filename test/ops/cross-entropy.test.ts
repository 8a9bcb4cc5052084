import { describe, expect, test } from 'vitest'
import { softmaxCrossEntropy } from '../../src/ops/cross-entropy.ts'
import { backward } from '../../src/tensor/backward.ts'
import { scope } from '../../src/tensor/scope.ts'
import { item, read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { expectClose, normOf } from '../../src/testing/close.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { testFamilies } from '../helpers/families.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'

const gpu = await openTestGpu()
const families = testFamilies(gpu, ['broadcast', 'tile'])

interface Case {
  N: number
  K: number
  smoothing: number
  mixed: boolean
  weighted?: boolean
  gamma?: number
}

const CASES: readonly Case[] = [
  { N: 3, K: 10, smoothing: 0, mixed: false },
  { N: 3, K: 10, smoothing: 0.1, mixed: false },
  { N: 5, K: 13, smoothing: 0.1, mixed: true },
  { N: 4, K: 1, smoothing: 0, mixed: false },
  { N: 9, K: 3, smoothing: 0.1, mixed: true },
  { N: 17, K: 1000, smoothing: 0.1, mixed: true },
  { N: 2, K: 5003, smoothing: 0.1, mixed: false },
  { N: 1, K: 64, smoothing: 0, mixed: false },
  { N: 5, K: 13, smoothing: 0, mixed: false, weighted: true },
  { N: 6, K: 10, smoothing: 0.1, mixed: true, weighted: true },
  { N: 17, K: 1000, smoothing: 0.1, mixed: true, weighted: true },
  { N: 3, K: 1, smoothing: 0.1, mixed: false, weighted: true },
  { N: 7, K: 10, smoothing: 0, mixed: false, gamma: 2 },
  { N: 9, K: 3, smoothing: 0, mixed: true, weighted: true, gamma: 0.5 },
]

describe.each(families)('family %s', (family) => {
  describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
    describe.each(['mean', 'none'] as const)('reduction %s', (reduction) => {
      test.each(CASES)(
        '[$N,$K] smoothing $smoothing, mixed $mixed, weighted $weighted, gamma $gamma',
        async (sizes) => {
          gpu.family = family
          const { N, K, smoothing, mixed, weighted = false, gamma = 0 } = sizes
          const given = operands(sizes)
          const weight = weighted ? tensor(given.weight, [K]) : undefined
          const want = reference(sizes, given, reduction)
          const logits = tensor(given.logits, [N, K], dtype)
          logits.leaf = { trainable: true, gradient: undefined, hasGradient: false }
          const loss = scope(() => {
            const made = softmaxCrossEntropy(logits, targets(given, mixed), { smoothing, gamma, reduction, weight })
            backward(made, reduction === 'mean' ? tensor([given.dloss[0]], []) : tensor(given.dloss, [N]))
            return made
          })
          expect(loss).toMatchObject({ shape: reduction === 'mean' ? [] : [N], dtype: 'f32' })
          // A loss near zero is a difference of logits.
          const norm = Math.max(normOf(want.loss), Math.sqrt(want.loss.length))
          expectClose(await read(loss), want.loss, 'f32', { name: 'loss', norm })
          expectClose(await read(logits.leaf.gradient!), want.dlogits, dtype, {
            name: 'dlogits',
            shape: [N, K],
            norm: Math.max(normOf(want.dlogits), normOf(want.target)),
          })
        },
      )
    })
  })

  test('PyTorch: cross entropy and label smoothing', async () => {
    gpu.family = family
    const logits = tensor([2, 1, 0, -1, 0, 0, 0, 0], [2, 4])
    logits.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    const a = tensor([0, 3], [2], 'u32')
    const smoothed = softmaxCrossEntropy(logits, { a }, { smoothing: 0.1 })
    expectClose(await read(softmaxCrossEntropy(logits, { a }, { reduction: 'none' })), [0.44018969, 1.38629436], 'f32')
    expectClose(
      await read(softmaxCrossEntropy(logits, { a }, { smoothing: 0.1, reduction: 'none' })),
      [0.5901897, 1.38629436],
      'f32',
    )
    expectClose([await item(smoothed)], [0.98824203], 'f32')
    backward(smoothed, tensor([1], []))
    expectClose(
      await read(logits.leaf.gradient!),
      [-0.14054288, 0.10594139, 0.03107216, 0.0035293, 0.1125, 0.1125, 0.1125, -0.3375],
      'f32',
    )
  })

  test('large logits neither overflow nor lose the loss', async () => {
    gpu.family = family
    const logits = tensor([60000, 59999, 0, -60000, -65504, 0], [2, 3], 'f16')
    const loss = softmaxCrossEntropy(logits, { a: tensor([1, 0], [2], 'u32') }, { reduction: 'none' })
    // In f16 59999 is 60000.
    expectClose(await read(loss), [Math.log(2), 60000], 'f32')
  })

  test('PyTorch: classes whose logit is -Infinity are left out, unless it is the label', async () => {
    gpu.family = family
    // z = torch.tensor([[1, -inf, 2], [-inf, .5, -inf], [0, -inf, 0]], requires_grad=True)
    // loss = F.cross_entropy(z, torch.tensor([2, 1, 1]), reduction='none'); loss[:2].sum().backward()
    const masked = [1, -Infinity, 2, -Infinity, 0.5, -Infinity]
    const logits = tensor(masked, [2, 3])
    logits.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    const a = tensor([2, 1], [2], 'u32')
    const loss = softmaxCrossEntropy(logits, { a }, { reduction: 'none' })
    expectClose(await read(loss), [0.31326169, 0], 'f32')
    backward(loss, tensor([1, 1], [2]))
    expectClose(await read(logits.leaf.gradient!), [0.26894143, 0, -0.26894143, 0, 0, 0], 'f32')
    const other = { a: tensor([1], [1], 'u32') }
    const none = tensor([0, -Infinity, 0], [1, 3])
    expect(await item(softmaxCrossEntropy(none, other))).toBe(Infinity)
    // Smoothing asks for a part of every class.
    expect(await item(softmaxCrossEntropy(tensor(masked.slice(0, 3), [1, 3]), other, { smoothing: 0.1 }))).toBe(
      Infinity,
    )
  })

  test('mixed losses are the mix of the losses, as fastai interpolates them', async () => {
    gpu.family = family
    const logits = tensor(hashUniform(20, 1, -3, 3), [2, 10])
    const [a, b] = [tensor([3, 9], [2], 'u32'), tensor([0, 9], [2], 'u32')]
    const each = async (label: typeof a) =>
      read(softmaxCrossEntropy(logits, { a: label }, { smoothing: 0.1, reduction: 'none' }))
    const [ofA, ofB, mixed] = [
      await each(a),
      await each(b),
      await read(
        softmaxCrossEntropy(logits, { a, b, mix: tensor([0.9, 0.6], [2]) }, { smoothing: 0.1, reduction: 'none' }),
      ),
    ]
    expectClose(mixed, [0.9 * ofA[0] + 0.1 * ofB[0], 0.6 * ofA[1] + 0.4 * ofB[1]], 'f32')
  })

  test('labels are mixed after the largest logit was taken away', async () => {
    gpu.family = family
    const N = 64
    const logits = tensor(
      hashUniform(2 * N, 1, 999, 1001).map((logit, i) => (i % 2 ? -logit : logit)),
      [N, 2],
    )
    const label = zeros([N], 'u32')
    const loss = softmaxCrossEntropy(
      logits,
      { a: label, b: label, mix: tensor(hashUniform(N, 2), [N]) },
      { reduction: 'none' },
    )
    expect([...new Set((await read(loss)).map(Math.abs))]).toEqual([0])
  })

  test('a label from K on makes its row NaN, and no other', async () => {
    gpu.family = family
    const [a, b] = [tensor([9, 10, 0], [3], 'u32'), tensor([0, 1, 2 ** 32 - 100], [3], 'u32')]
    const run = async (targets: Parameters<typeof softmaxCrossEntropy>[1]) => {
      const logits = tensor(hashUniform(30, 1, -3, 3), [3, 10])
      logits.leaf = { trainable: true, gradient: undefined, hasGradient: false }
      const loss = scope(() => {
        const made = softmaxCrossEntropy(logits, targets, { reduction: 'none' })
        backward(made, tensor([1, 1, 1], [3]))
        return made
      })
      const gradient = await read(logits.leaf.gradient!)
      return [[...(await read(loss))], [0, 1, 2].map((n) => gradient[10 * n])].map((numbers) =>
        numbers.map(Number.isNaN),
      )
    }
    expect(await run({ a })).toEqual([
      [false, true, false],
      [false, true, false],
    ])
    expect(await run({ a, b, mix: tensor([0.5, 0.5, 0.5], [3]) })).toEqual([
      [false, true, true],
      [false, true, true],
    ])
  })

  test('more rows than a dimension of a grid has workgroups', async () => {
    gpu.family = family
    const N = 70000
    const logits = tensor(
      Float32Array.from({ length: 2 * N }, (_, i) => i % 2),
      [N, 2],
    )
    logits.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    const loss = scope(() => {
      const made = softmaxCrossEntropy(logits, { a: zeros([N], 'u32') }, { reduction: 'none' })
      backward(made, tensor(new Float32Array(N).fill(1), [N]))
      return made
    })
    const softmaxOfOne = Math.E / (1 + Math.E)
    expectClose(
      (await read(loss)).subarray(N - 2),
      [1, 1].map(() => Math.log(1 + Math.E)),
      'f32',
    )
    expectClose((await read(logits.leaf.gradient!)).subarray(2 * N - 2), [-softmaxOfOne, softmaxOfOne], 'f32')
  })

  test('padding of the classes stays zero', async () => {
    gpu.family = family
    const logits = tensor(hashUniform(20, 1, -3, 3), [2, 10])
    logits.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    scope(() => backward(softmaxCrossEntropy(logits, { a: zeros([2], 'u32') }, { smoothing: 0.1 }), tensor([1], [])))
    const stored = new Float32Array(await gpu.queue.read(logits.leaf.gradient!.view))
    expect([...stored.subarray(10, 12), ...stored.subarray(22, 24)]).toEqual([0, 0, 0, 0])
  })
})

describe('weights and focus', () => {
  const gradientOf = async (logits: number[], K: number, options: Parameters<typeof softmaxCrossEntropy>[2]) => {
    const z = tensor(logits, [logits.length / K, K])
    z.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    const loss = scope(() => {
      const made = softmaxCrossEntropy(z, { a: zeros([logits.length / K], 'u32') }, options)
      backward(made, tensor([1], []))
      return made
    })
    return { loss: await item(loss), gradient: [...(await read(z.leaf.gradient!))] }
  }

  test('a batch without any weight has loss 0 and no gradient', async () => {
    expect(await gradientOf([1, 2, 3, 4], 2, { weight: tensor([0, 1], [2]) })).toEqual({
      loss: 0,
      gradient: [0, 0, 0, 0],
    })
  })

  test('NaN among the weights is the loss', async () => {
    const { loss, gradient } = await gradientOf([1, 2, 3, 4], 2, { weight: tensor([NaN, 1], [2]) })
    expect([loss, ...gradient]).toEqual([NaN, NaN, NaN, NaN, NaN])
  })

  test.each([0.5, 2])('an item that is certain has no loss and no gradient, gamma %f', async (gamma) => {
    expect(await gradientOf([100, -100], 2, { gamma })).toEqual({ loss: 0, gradient: [0, 0] })
  })

  test('an item that is certainly wrong has the loss of the cross-entropy', async () => {
    const { loss, gradient } = await gradientOf([-50, 50], 2, { gamma: 2 })
    expectClose([loss, ...gradient], [100, -1, 1], 'f32')
  })

  test('equal weights change nothing', async () => {
    const plain = await gradientOf([1, 2, 0.5, 4, -1, 0], 3, { smoothing: 0.1 })
    const weighted = await gradientOf([1, 2, 0.5, 4, -1, 0], 3, { smoothing: 0.1, weight: tensor([3, 3, 3], [3]) })
    expectClose([weighted.loss, ...weighted.gradient], [plain.loss, ...plain.gradient], 'f32')
  })

  test('gradient, finite differences', async () => {
    const [a, b] = [tensor([9, 0, 4], [3], 'u32'), tensor([1, 0, 8], [3], 'u32')]
    const weight = tensor(hashUniform(10, 7, 0.2, 2), [10])
    for (const options of [{ smoothing: 0.1, weight }, { gamma: 2, weight }, { gamma: 1.5 }]) {
      await gradcheck(
        'softmaxCrossEntropy',
        ({ logits }) => softmaxCrossEntropy(logits, { a, b, mix: tensor([0.9, 0.6, 0.5], [3]) }, options),
        { logits: uniform([3, 10], 1, -2, 2) },
      )
    }
  })

  test('what does not fit is refused', () => {
    const [logits, a] = [zeros([8, 10]), zeros([8], 'u32')]
    expect(() => softmaxCrossEntropy(logits, { a }, { weight: zeros([3]) })).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: softmaxCrossEntropy: weight does not fit the logits
        logits  [8,10] f32
        weight  [3] f32
        expected [10] f32, one per class
        Fix: give one weight per output of the model, or build the model with as many outputs as there are classes]
    `)
    expect(() => softmaxCrossEntropy(logits, { a }, { weight: zeros([10], 'u32') })).toThrow(
      'weight has the wrong type',
    )
    expect(() => softmaxCrossEntropy(logits, { a }, { gamma: -1 })).toThrow('gamma is out of range')
    expect(() => softmaxCrossEntropy(logits, { a }, { gamma: 1, smoothing: 0.1 })).toThrow('exclude each other')
    expect(() => softmaxCrossEntropy(logits, { a }, { reduction: 'sum' as 'mean' })).toThrow(
      "expected 'mean' or 'none'",
    )
  })
})

test('gradient, finite differences', async () => {
  const [a, b] = [tensor([9, 0, 4], [3], 'u32'), tensor([1, 0, 8], [3], 'u32')]
  const f = (reduction: 'mean' | 'none') =>
    gradcheck(
      'softmaxCrossEntropy',
      ({ logits }) =>
        softmaxCrossEntropy(logits, { a, b, mix: tensor([0.9, 0.6, 0.5], [3]) }, { smoothing: 0.1, reduction }),
      { logits: uniform([3, 10], 1, -2, 2) },
    )
  await f('mean')
  await f('none')
})

test('refuses what does not fit, before any work', () => {
  const logits = zeros([8, 10])
  const a = zeros([8], 'u32')
  expect(() => softmaxCrossEntropy(zeros([8, 1, 10]), { a })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: softmaxCrossEntropy: the logits must be a matrix
      logits  [8,1,10] f32
      expected logits as [N,K]]
  `)
  expect(() => softmaxCrossEntropy(logits, { a: zeros([7], 'u32') })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: softmaxCrossEntropy: a does not fit the logits
      logits  [8,10] f32
      a       [7] u32
      expected [8] u32, one per row of the logits]
  `)
  expect(() => softmaxCrossEntropy(logits, { a: zeros([8]) })).toThrowErrorMatchingInlineSnapshot(`
    [DtypeError: softmaxCrossEntropy: a has the wrong type
      logits  [8,10] f32
      a       [8] f32
      expected [8] u32, one per row of the logits]
  `)
  expect(() => softmaxCrossEntropy(logits, { a, b: a })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: softmaxCrossEntropy: b and mix belong together
      b    [8] u32
      mix  none
      expected both or neither]
  `)
  expect(() => softmaxCrossEntropy(logits, { a, b: a, mix: zeros([8, 1]) })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: softmaxCrossEntropy: mix does not fit the logits
      logits  [8,10] f32
      mix     [8,1] f32
      expected [8] f32, one per row of the logits]
  `)
  expect(() => softmaxCrossEntropy(logits, { a }, { smoothing: 1.5 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: softmaxCrossEntropy: smoothing is out of range
      smoothing  1.5
      expected 0 to 1]
  `)
})

type Operands = ReturnType<typeof operands>

function operands({ N, K }: Case) {
  const label = (seed: number) => Array.from(hashUniform(N, seed, 0, K), Math.floor)
  return {
    logits: uniform([N, K], 1, -8, 8).data,
    a: label(2),
    b: label(3),
    mix: hashUniform(N, 4, 0.5, 1),
    dloss: hashUniform(N, 5, -2, 2),
    weight: hashUniform(K, 6, 0, 3).map((weight, k) => (k % 5 === 3 ? 0 : weight)),
  }
}

function targets({ a, b, mix }: Operands, mixed: boolean) {
  const one = tensor(a, [a.length], 'u32')
  return mixed ? { a: one, b: tensor(b, [b.length], 'u32'), mix: tensor(mix, [mix.length]) } : { a: one }
}

/** From the definition, -Σ q·log softmax with q = target·weight·(1 - p)^gamma, in f64; q·log p is derived by its product rule. */
function reference(
  { N, K, smoothing, mixed, weighted = false, gamma = 0 }: Case,
  { logits, a, b, mix, dloss, weight }: Operands,
  reduction: 'mean' | 'none',
) {
  const weightOf = (label: number) => (weighted ? weight[label] : 1)
  const shares = Array.from({ length: N }, (_, n) => (mixed ? mix[n] : 1))
  const divisor = weighted
    ? shares.reduce((sum, share, n) => sum + share * weightOf(a[n]) + (1 - share) * weightOf(b[n]), 0)
    : N
  const losses: number[] = []
  const dlogits: number[] = []
  const scaledTarget: number[] = []
  for (let n = 0; n < N; n++) {
    const z = Array.from({ length: K }, (_, k) => logits[n * K + k])
    const logSum = Math.log(z.reduce((sum, value) => sum + Math.exp(value), 0))
    const share = shares[n]
    const q = z.map(
      (_, k) =>
        weightOf(k) * (smoothing / K + (1 - smoothing) * ((k === a[n] ? share : 0) + (k === b[n] ? 1 - share : 0))),
    )
    const logP = z.map((value) => value - logSum)
    losses.push(-q.reduce((sum, part, k) => sum + part * (1 - Math.exp(logP[k])) ** gamma * logP[k], 0))
    const slope = q.map((part, k) => {
      if (gamma === 0) return part
      const p = Math.exp(logP[k])
      return part * ((1 - p) ** gamma - gamma * (1 - p) ** (gamma - 1) * p * logP[k])
    })
    const total = slope.reduce((sum, part) => sum + part, 0)
    const d = reduction === 'mean' ? dloss[0] / divisor : dloss[n]
    dlogits.push(...logP.map((value, k) => (Math.exp(value) * total - slope[k]) * d))
    scaledTarget.push(...slope.map((part) => part * d))
  }
  return {
    loss: reduction === 'mean' ? [losses.reduce((sum, loss) => sum + loss, 0) / divisor] : losses,
    dlogits,
    target: scaledTarget,
  }
}
