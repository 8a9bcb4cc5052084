import { afterAll, describe, expect, test, vi } from 'vitest'
import { augTransforms } from '../../../src/data/augment/transforms.ts'
import { imagenetStats, normalize } from '../../../src/data/augment/normalize.ts'
import { ConvLayer } from '../../../src/nn/conv-layer.ts'
import { useGpu } from '../../../src/gpu/device.ts'
import { Dropout } from '../../../src/nn/dropout.ts'
import { Init } from '../../../src/nn/init.ts'
import { Linear } from '../../../src/nn/linear.ts'
import { Module } from '../../../src/nn/module.ts'
import { GlobalAvgPool } from '../../../src/nn/pool.ts'
import { Sequential } from '../../../src/nn/sequential.ts'
import { relu } from '../../../src/ops/relu.ts'
import { adam } from '../../../src/optim/adam.ts'
import { lookahead } from '../../../src/optim/lookahead.ts'
import type { OptimizerFactory } from '../../../src/optim/optimizer.ts'
import { keep } from '../../../src/tensor/scope.ts'
import type { Shape } from '../../../src/tensor/shape.ts'
import type { Tensor } from '../../../src/tensor/tensor.ts'
import { tensor, upload } from '../../../src/tensor/read-write.ts'
import type { Callback } from '../../../src/train/fit/callback.ts'
import { gradientClip } from '../../../src/train/callbacks/gradient-clip.ts'
import { mixUp } from '../../../src/train/callbacks/mixup.ts'
import { Learner } from '../../../src/train/learner.ts'
import type { LearnerOptions } from '../../../src/train/learner-options.ts'
import { crossEntropy, labelSmoothing } from '../../../src/train/fit/losses.ts'
import { accuracy } from '../../../src/train/fit/metrics.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { tinyLoaders, tinyModel } from '../../helpers/tiny.ts'

const gpu = await openTestGpu()
// The tuner of a GPU runs the model before a fit as well.
vi.stubEnv('TUNE', '0')
afterAll(() => vi.unstubAllEnvs())

/** A loss scale that overflows every gradient, for one step: the optimizer has to leave it out. */
const OVERFLOW_AT = 17
const overflowOnce: Callback = {
  name: 'overflowOnce',
  order: 0,
  runsOn: 'train',
  prepareBatch({ trainIteration, scaler, precision }) {
    if (trainIteration === OVERFLOW_AT && scaler && precision === 'mixed') upload(scaler.scale, [1e38])
  },
}

/** Makes what it keeps in the middle of training, from whatever buffers are free then. */
function keeper(): Callback & { readonly kept: ReturnType<typeof tensor>[] } {
  const kept: ReturnType<typeof tensor>[] = []
  return {
    name: 'keeper',
    order: 0,
    kept,
    beforeValidate: () => void kept.push(...[1, 2, 3].map(() => keep(tensor(new Float32Array(4096).fill(7), [4096])))),
  }
}

async function trained(replay: boolean, precision: 'f32' | 'mixed', callbacks: readonly Callback[] = [overflowOnce]) {
  const loaders = await tinyLoaders({
    train: 40,
    valid: 7,
    batchSize: 4,
    size: 24,
    batchTransforms: [...augTransforms({ size: 16, minScale: 0.5 }), normalize(imagenetStats)],
  })
  const learner = new Learner(loaders, tinyModel(), { metrics: [accuracy], replay, callbacks })
  if (precision === 'mixed') learner.toFp16()
  const before = gpu.pipelines.prepared
  await learner.fitOneCycle(3, 1e-2)
  return { learner, prepared: gpu.pipelines.prepared - before, state: await learner.model.stateDict() }
}

test('a layer that runs several times in a step draws anew for each pass of every replayed step', async () => {
  const forward = vi.spyOn(Dropout.prototype, 'forward')
  const trainedWith = async (replay: boolean) => {
    forward.mockClear()
    const init = new Init(0)
    const drop = new Dropout(0.3)
    const conv = (inChannels: number, outChannels: number) =>
      new ConvLayer({ inChannels, outChannels, stride: 2, init })
    const layers = [conv(3, 8), drop, drop, conv(8, 8), drop, new GlobalAvgPool(), drop, new Linear(8, 3, init)]
    const learner = new Learner(await tinyLoaders({ train: 32 }), new Sequential(layers), { replay })
    await learner.fit(2, 1e-3)
    const passes = forward.mock.contexts.filter((layer) => layer === drop).length
    return { losses: learner.recorder.rawLosses, passes }
  }
  const [plain, replayed] = [await trainedWith(false), await trainedWith(true)]
  forward.mockRestore()
  expect(replayed.losses).toEqual(plain.losses)
  // Four passes in each of eight steps of two epochs, and in two batches of each validation.
  expect(plain.passes).toBe(4 * 2 * (8 + 2))
  expect(replayed.passes).toBeLessThan(plain.passes / 1.5)
})

describe.each(['f32', 'mixed'] as const)('%s', (precision) => {
  test('30 replayed steps end bit for bit where 30 recorded ones end: learning rates, augmentation, in mixed precision a skipped step, validation between', async () => {
    const plain = await trained(false, precision)
    const replayed = await trained(true, precision)
    expect(replayed.learner.recorder.rawLosses).toEqual(plain.learner.recorder.rawLosses)
    expect(replayed.learner.recorder.rawLosses.length).toBe(30)
    expect(replayed.learner.recorder.rows.map(({ validLoss }) => validLoss)).toEqual(
      plain.learner.recorder.rows.map(({ validLoss }) => validLoss),
    )
    for (const [name, { data }] of plain.state) {
      expect([name, ...(replayed.state.get(name)?.data ?? [])]).toEqual([name, ...data])
    }
    // Two of ten steps an epoch are recorded.
    expect(replayed.prepared).toBeLessThan(plain.prepared / 2)
  })
})

test('a kept tensor is not written by a replay', async () => {
  const holder = keeper()
  await trained(true, 'f32', [holder])
  for (const one of holder.kept) {
    expect(new Float32Array(await gpu.queue.read(one.view)).every((value) => value === 7)).toBe(true)
  }
})

test('a callback that does something else in every step is always called', async () => {
  let calls = 0
  const counter: Callback = { name: 'counter', order: 0, runsOn: 'train', beforeBackward: () => void calls++ }
  await trained(true, 'f32', [counter])
  expect(calls).toBe(30)
})

describe('code that may decide is called at every step', () => {
  /** A layer that counts its calls, and at every second one does something else. */
  class Every extends Module {
    calls = 0

    forward(x: Tensor): Tensor {
      return this.calls++ % 2 === 0 ? x : relu(x)
    }

    override describe(input: Shape) {
      return [{ path: '', layer: 'every', output: input, parameters: 0, flops: 0 }]
    }
  }
  /** The same, with a promise that it does not keep. */
  class Promised extends Every {
    static override readonly replayable = true
  }
  class Overridden extends ConvLayer {
    calls = 0

    override forward(x: Tensor): Tensor {
      this.calls++
      return super.forward(x)
    }
  }
  /** Layers that are only put together. */
  class Named extends Sequential {}

  const init = new Init(0)
  const conv = { inChannels: 3, outChannels: 8, stride: 2, init } as const
  const withLayer = (layer: Module, first: Module = new ConvLayer(conv)) =>
    new Sequential([first, layer, new GlobalAvgPool(), new Linear(8, 3, init)])

  /** Trains for three epochs of ten batches. @returns launches that were made ready */
  async function train(model: Module, options: LearnerOptions = {}): Promise<number> {
    const learner = new Learner(await tinyLoaders({ train: 40, valid: 4, batchSize: 4 }), model, options)
    const before = gpu.pipelines.prepared
    await learner.fit(3, 1e-3)
    return gpu.pipelines.prepared - before
  }

  test('a module that somebody wrote', async () => {
    const every = new Every()
    await train(withLayer(every))
    expect(every.calls).toBe(30 + 3)
  })

  test('a built-in layer with a forward of its own, in its class or on the object', async () => {
    const overridden = new Overridden(conv)
    await train(withLayer(new ConvLayer({ ...conv, inChannels: 8 }), overridden))
    expect(overridden.calls).toBe(30 + 3)
    const [patched, { forward }] = [new ConvLayer(conv), ConvLayer.prototype]
    let calls = 0
    patched.forward = (x) => (calls++, forward.call(patched, x))
    await train(withLayer(new ConvLayer({ ...conv, inChannels: 8 }), patched))
    expect(calls).toBe(30 + 3)
  })

  test('a loss that somebody wrote, also as a copy of a built-in one', async () => {
    let calls = 0
    const mean = (outputs: Tensor, targets: Parameters<ReturnType<typeof crossEntropy>['mean']>[1]) =>
      (calls++ < 15 ? crossEntropy() : labelSmoothing(0.2)).mean(outputs, targets)
    await train(tinyModel(), { loss: { ...crossEntropy(), mean } })
    expect(calls).toBe(30)
  })

  test('a copy of a built-in callback', async () => {
    let calls = 0
    await train(tinyModel(), { callbacks: [{ ...mixUp(), beforeBackward: () => void calls++ }] })
    expect(calls).toBe(30)
  })

  test.each([
    ['alone', (own: OptimizerFactory) => own],
    ['in lookahead', lookahead],
  ] as const)('an optimizer that somebody wrote, %s', async (_, around) => {
    let calls = 0
    const own: OptimizerFactory = (groups) => {
      const inner = adam()(groups)
      const bound = (name: string) => (inner[name as 'step'] as (...given: unknown[]) => unknown).bind(inner)
      const methods = [
        'setHyperparameters',
        'zeroGradients',
        'freezeTo',
        'clearState',
        'keepF16Copies',
        'state',
        'loadState',
        'close',
      ]
      return {
        ...(Object.fromEntries(methods.map((name) => [name, bound(name)])) as unknown as typeof inner),
        groups: inner.groups,
        get hyperparameters() {
          return inner.hyperparameters
        },
        step: (scaler) => (calls++, inner.step(scaler)),
        replayable: undefined,
      }
    }
    await train(tinyModel(), { optimizer: around(own) })
    expect(calls).toBe(30)
  })

  test('what is built in, or says that it is replayable, is replayed', async () => {
    const plain = await train(tinyModel(), { replay: false })
    expect(await train(tinyModel(), { callbacks: [mixUp(), gradientClip()] })).toBeLessThan(plain * 0.7)
    expect(await train(new Named(tinyModel().layers))).toBeLessThan(plain / 2)
    const loss = { ...crossEntropy(), replayable: true }
    expect(await train(tinyModel(), { loss })).toBeLessThan(plain / 2)
  })

  test('a part that says so and decides all the same is an error that names the launch and the way out', async () => {
    const promised = new Promised()
    await expect(train(withLayer(promised))).rejects.toThrowErrorMatchingInlineSnapshot(`
      [OptionError: replay: a training step launches other work than the captured step that was replayed before
        step      batch 5 of epoch 0
        launch    12
        captured  copy after batch-norm/forward [4,8,8,8]
        now       copy after batch-norm/forward [4,8,8,8]
        expected the same launches for every batch from every part of the step marked \`replayable\`
        Fix: remove \`replayable\` from parts that decide in TypeScript or change within an epoch, or switch replay off: new Learner(loaders, model, { replay: false })]
    `)
    // One step without, one for the recording, three replays, and one compared with it.
    expect(promised.calls).toBe(3)
  })

  test('buffers given back to the driver within an epoch, and bind groups with them, are no change', async () => {
    const trim: Callback = { name: 'trim', order: 0, prepareBatch: () => gpu.trim() }
    const plain = await train(tinyModel(), { replay: false })
    expect(await train(tinyModel(), { callbacks: [trim] })).toBeLessThan(plain / 2)
  })

  test('a fit that is changed within an epoch is an error too', async () => {
    const change: Callback = {
      name: 'change',
      order: 0,
      runsOn: 'train',
      afterBatch: ({ iteration, optimizer }) => void (iteration === 3 && optimizer?.freezeTo(1)),
    }
    const groups = (model: Module) => [model.parameters().slice(0, 3), model.parameters().slice(3)]
    await expect(train(tinyModel(), { callbacks: [change], groups })).rejects.toThrow(
      'a training step launches other work',
    )
  })
})

test('the buffers of recordings go back to the pool', async () => {
  // On a GPU of its own: those of earlier tests give theirs back whenever they are collected.
  const own = await openTestGpu()
  const loaders = await tinyLoaders({ train: 40, batchSize: 4 })
  const learner = new Learner(loaders, tinyModel())
  await learner.fit(1)
  const after = own.buffers.usedBytes
  await learner.fit(2)
  expect(own.buffers.usedBytes).toBe(after)
  expect(after).toBeGreaterThan(0)
  useGpu(gpu)
})
