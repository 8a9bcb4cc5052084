/** The training worker: all that uses the GPU happens here, so that the page stays smooth. */
import { unzipSync } from 'fflate'
import {
  accuracy,
  ClassificationInterpretation,
  folderFiles,
  loadLearner,
  openGpu,
  type Callback,
  type Gpu,
  type Learner,
} from 'wgrad'
import { readSafetensors } from 'wgrad/nn'
import { currentGpu, rng, useGpu } from 'wgrad/gpu'
import { Predictor } from 'wgrad/train'
import { MemoryFiles } from './memory-files.ts'
import type { AdapterFacts, Calls, KernelTime, ModelFacts, Part, Reply, Request, TrainingEvent } from './protocol.ts'
import { everyFifth } from './split.ts'
import { firstLearner } from './recipes/first.ts'
import { ownLearner } from './recipes/own.ts'
import { stepByHand } from './recipes/step.ts'

/** Caption of a picture whose likeliest label is below the model's threshold. */
const NONE = 'none of these'

/** Learner with what the page shows of it. */
interface Session {
  readonly part: Part
  readonly learner: Learner
  /** Validation pictures on the page. */
  readonly shown: readonly string[]
  readonly batchSize: number
  readonly size: number
  epochsLeft: number
  /** True until the first loss is known. */
  fresh: boolean
}

const SHOWN = 12
/** Training of the bundled pictures: shorter on a processor, so that something happens there too. */
const FIRST = {
  gpu: { size: 64, batchSize: 16, epochs: 24 },
  software: { size: 32, batchSize: 16, epochs: 10 },
}
const FIRST_RATE = 1e-2
/** Highest learning rate of the visitor's pictures where no weights are pretrained. */
const OWN_RATE = 3e-3
const PRETRAINED = 'weights.safetensors'

const files = new MemoryFiles()
const sessions = new Map<Part, Session>()
let base = ''
let running: Session | undefined
let stopping = false
/** Model of the visitor: trained here, or opened from a file. */
let predictor: { readonly model: Pick<Predictor, 'predictPixels'>; readonly facts: ModelFacts } | undefined
let modelBytes: Uint8Array | undefined

const send = (reply: Reply, transfer: Transferable[] = []): void => {
  ;(self as unknown as Worker).postMessage(reply, transfer)
}
const tell = (event: TrainingEvent): void => send({ event })

const calls: {
  readonly [Name in keyof Calls]: (
    ...args: Parameters<Calls[Name]>
  ) => ReturnType<Calls[Name]> | Promise<ReturnType<Calls[Name]>>
} = {
  async open(address) {
    base = address
    return factsOf(await openGpu({ files }))
  },

  async first() {
    stopping = false
    tell({ kind: 'phase', part: 'first', phase: 'preparing', text: 'Reading the pictures' })
    await bundledPictures()
    const { size, batchSize, epochs } = currentGpu().software ? FIRST.software : FIRST.gpu
    // Trying out kernels takes seconds that a first visit does not have.
    const learner = await firstLearner(size, batchSize, { callbacks: [reporter('first')], tune: { seconds: 0.5 } })
    const shown = await shownOf('first', learner)
    const session: Session = { part: 'first', learner, shown, batchSize, size, epochsLeft: epochs, fresh: true }
    sessions.set('first', session)
    await fit(session, () => learner.fitOneCycle(epochs, FIRST_RATE))
  },

  async more(part, epochs) {
    stopping = false
    const session = sessions.get(part)
    if (session === undefined) throw new Error('There is nothing to go on with yet.')
    const { learner } = session
    const most = part === 'first' ? FIRST_RATE : OWN_RATE
    const rate = Math.max(learner.recorder.lrs.at(-1) ?? most, most / 10)
    const count = session.epochsLeft > 0 ? session.epochsLeft : epochs
    session.epochsLeft = count
    // Neither a new warm-up nor the end of the old cycle: the rate of before, falling to nothing again.
    await fit(session, () => learner.fitFlatCos(count, rate, { pctStart: 0.3 }))
  },

  async stop() {
    stopping = true
    running?.learner.interrupt()
    await finished
  },

  async pretrained() {
    const response = await fetch(new URL(PRETRAINED, base), { method: 'HEAD' }).catch(() => undefined)
    // A server of a single page answers every address with that page.
    return response !== undefined && response.ok && !response.headers.get('content-type')?.startsWith('text/html')
  },

  async own({ pictures, epochs, size, pretrained }) {
    await calls.stop()
    stopping = false
    files.remove('own')
    for (const { path, picture } of pictures) files.set(`own/${path}`, picture)
    tell({ kind: 'phase', part: 'own', phase: 'preparing', text: 'Reading your pictures' })
    const architecture = pretrained ? await loadPretrained() : 'xresnet18'
    const batchSize = Math.max(2, Math.min(16, Math.floor(pictures.length / 6)))
    const learner = await ownLearner({
      size,
      batchSize,
      architecture,
      splitter: everyFifth,
      ...(pretrained ? { pretrained: PRETRAINED } : {}),
      callbacks: [reporter('own')],
      tune: { seconds: 5 },
    })
    const frozen = pretrained ? 1 : 0
    const session: Session = {
      part: 'own',
      learner,
      shown: await shownOf('own', learner),
      batchSize,
      size,
      epochsLeft: epochs + frozen,
      fresh: true,
    }
    sessions.set('own', session)
    const facts = { size, vocab: learner.loaders.vocab }
    predictor = { model: pixelsBy(learner), facts }
    modelBytes = undefined
    await fit(session, () => (pretrained ? learner.fineTune(epochs) : learner.fitOneCycle(epochs, OWN_RATE)))
    return facts
  },

  async predict(pixels) {
    if (!predictor) throw new Error('There is no model yet: train one, or open one.')
    const { label, probabilities } = await predictor.model.predictPixels(pixels)
    return { label: label ?? NONE, probabilities: Array.from(probabilities) }
  },

  async results() {
    const { learner } = ownSession()
    const { loaders } = learner
    const { items } = loaders.valid.pictures
    const predictions = await learner.getPredictions()
    const interpretation = new ClassificationInterpretation(predictions, loaders.vocab)
    return {
      vocab: loaders.vocab,
      accuracy: accuracy(predictions.predictions, predictions.targets),
      confusion: interpretation.confusionMatrix(),
      worst: interpretation
        .topLosses(12)
        .map(({ item, ...loss }) => ({ ...loss, path: items[item].replace(/^own\//, '') })),
    }
  },

  async exported(format) {
    if (format === 'safetensors') return (await exportedModel()).slice()
    const path = 'out/model.onnx'
    const source = sessions.get('own')?.learner ?? (await opened())
    await source.exportOnnx(path, { precision: 'f16' })
    return files.read(path)
  },

  async openModel(bytes) {
    await calls.stop()
    sessions.delete('own')
    modelBytes = bytes
    const { size, vocab } = factsIn(bytes)
    predictor = { model: await opened(), facts: { size, vocab } }
    return predictor.facts
  },

  async keep(name) {
    const folder = await keptFolder()
    await folder.write(`${name}.safetensors`, await exportedModel())
  },
  async kept() {
    const entries = await (await keptFolder()).list('')
    return entries.map((entry) => entry.name.replace(/\.safetensors$/, ''))
  },
  async openKept(name) {
    return calls.openModel(await (await keptFolder()).read(`${name}.safetensors`))
  },
  async forget(name) {
    await (await keptHandle()).removeEntry(`${name}.safetensors`)
  },

  async layers() {
    const { learner } = sessions.get('own') ?? sessions.get('first') ?? missing()
    const input = await learner.loaders.inputShape()
    return learner.model.describe([1, ...input.slice(1)]).map(({ path, layer, output, parameters, flops }) => ({
      name: path,
      kind: layer,
      shape: output.slice(1).join(' × '),
      parameters,
      flops,
    }))
  },

  kernels: () => timedLaunches(),
}

/** Settles when the fit that is going on has ended. */
let finished: Promise<unknown> = Promise.resolve()

/** Runs a fit of a session, with guesses about the pictures on the page meanwhile. */
async function fit(session: Session, work: () => Promise<void>): Promise<void> {
  await finished
  const { part, learner } = session
  running = session
  session.fresh = true
  tell({ kind: 'phase', part, phase: 'compiling', text: 'Compiling kernels for this adapter' })
  const whole = (async () => {
    const done = work()
    void keepGuessing(session)
    try {
      await done
    } finally {
      running = undefined
    }
    await guess(session)
  })()
  // The last guesses belong to it: what waits may open another device.
  finished = whole.catch(() => undefined)
  await whole
  tell(
    learner.interrupted
      ? { kind: 'phase', part, phase: 'stopped', text: 'Stopped' }
      : { kind: 'phase', part, phase: 'finished', text: 'Finished' },
  )
}

/** Reports losses as the GPU finishes their steps, and figures of every epoch. */
function reporter(part: Part): Callback {
  let times: number[] = []
  return {
    name: 'page',
    order: 70,
    replayable: true,
    duringLrFind: false,
    beforeFit: (state) => {
      times = []
      if (stopping) state.interrupt()
      const steps = state.loaders.train.batchCount * state.epochs
      tell({ kind: 'planned', part, steps, epochs: state.epochs })
    },
    lossKnown: (_state, { loss }) => {
      const session = sessions.get(part)
      if (session?.fresh) {
        session.fresh = false
        tell({ kind: 'phase', part, phase: 'training', text: 'Training' })
      }
      // Steps that are done, over the last few seconds: work that was only handed over is no speed.
      const now = performance.now()
      times.push(now)
      while (times.length > 4 && now - times[0] > RATE_WINDOW_MS) times.shift()
      const seconds = (now - times[0]) / 1000
      const rate = seconds > 0 ? ((times.length - 1) * (session?.batchSize ?? 0)) / seconds : undefined
      tell({ kind: 'step', part, loss, rate })
    },
    beforeEpoch: () => void (times = []),
    afterEpoch: (state) => {
      const row = state.recorder.rows.at(-1)
      const session = sessions.get(part)
      if (row === undefined || row.epoch !== state.epoch) return
      if (session) session.epochsLeft = Math.max(0, session.epochsLeft - 1)
      const { epoch, trainLoss, validLoss, metrics } = row
      tell({ kind: 'epoch', part, epoch, epochs: state.epochs, trainLoss, validLoss, accuracy: metrics['accuracy'] })
    },
  }
}

const RATE_WINDOW_MS = 4000
/** Pause between two rounds of guesses: on a processor they take time from training. */
const GUESS_EVERY_MS = { gpu: 600, software: 2500 }

async function keepGuessing(session: Session): Promise<void> {
  const pause = currentGpu().software ? GUESS_EVERY_MS.software : GUESS_EVERY_MS.gpu
  while (running === session) {
    // A model that has learnt nothing yet guesses as well, but its kernels would delay the first step.
    if (!session.fresh) await guess(session)
    await new Promise((resolve) => setTimeout(resolve, session.fresh ? 50 : pause))
  }
}

async function guess({ part, learner, shown }: Session): Promise<void> {
  try {
    // All at once: each waits for the steps that the GPU was given before it.
    const predictions = await Promise.all(shown.map((path) => learner.predict(path)))
    const guesses = predictions.map(({ label, index, probabilities }) => ({
      label: label ?? NONE,
      probability: probabilities[index],
    }))
    tell({ kind: 'guesses', part, guesses })
  } catch {
    // Outputs that are not finite: the fit itself reports that.
  }
}

/** Some validation pictures, of all classes in turn. */
async function shownOf(part: Part, { loaders }: Learner): Promise<string[]> {
  const { valid, vocab } = loaders
  const byClass = vocab.map((_, label) => Array.from(valid.items).filter((item) => valid.labels[item] === label))
  const most = Math.max(...byClass.map(({ length }) => length))
  const items = Array.from({ length: most }, (_, round) => byClass.flatMap((own) => own.slice(round, round + 1)))
    .flat()
    .slice(0, SHOWN)
  const paths = items.map((item) => valid.pictures.items[item])
  const shown = await Promise.all(
    paths.map(async (path, i) => ({
      path,
      label: vocab[valid.labels[items[i]]],
      picture: new Blob([new Uint8Array(await files.read(path))]),
    })),
  )
  tell({ kind: 'shown', part, shown, vocab })
  return paths
}

/** Loads the weights that the page ships. @returns the name of their architecture */
async function loadPretrained(): Promise<string> {
  if (!(await files.exists(PRETRAINED))) {
    tell({ kind: 'phase', part: 'own', phase: 'preparing', text: 'Loading the weights' })
    const response = await fetch(new URL(PRETRAINED, base))
    if (!response.ok) throw new Error(`The weights cannot be read: the server answered ${response.status}.`)
    files.set(PRETRAINED, new Uint8Array(await response.arrayBuffer()))
  }
  return architectureOf(await files.read(PRETRAINED))
}

async function bundledPictures(): Promise<void> {
  if (await files.exists('pictures')) return
  const response = await fetch(new URL('pictures.zip', base))
  if (!response.ok) throw new Error(`The bundled pictures cannot be read: the server answered ${response.status}.`)
  const entries = unzipSync(new Uint8Array(await response.arrayBuffer()))
  for (const [path, bytes] of Object.entries(entries)) if (bytes.length > 0) files.set(`pictures/${path}`, bytes)
}

function factsOf({ name, software, features }: Gpu): AdapterFacts {
  return { name, software, timestamps: features.has('timestamp-query'), features: [...features] }
}

function missing(): never {
  throw new Error('Nothing has been trained yet.')
}

function ownSession(): Session {
  return sessions.get('own') ?? missing()
}

function pixelsBy({ model, platform, precision, loaders }: Learner): Predictor {
  const { pictures, itemTransforms, batchTransforms } = loaders.valid
  const { decoding } = pictures
  return new Predictor({ model, platform, precision, vocab: loaders.vocab, decoding, itemTransforms, batchTransforms })
}

async function exportedModel(): Promise<Uint8Array> {
  const session = sessions.get('own')
  if (!session) return modelBytes ?? missing()
  await session.learner.export('out/model.safetensors', { precision: 'f16' })
  return files.read('out/model.safetensors')
}

async function opened(): Promise<Predictor> {
  files.set('out/opened.safetensors', modelBytes ?? missing())
  return loadLearner('out/opened.safetensors', { platform: currentGpu().platform })
}

/** What an exported learner says of itself. */
function metadataOf(bytes: Uint8Array): Record<string, unknown> {
  const { metadata } = readSafetensors('weights', bytes)
  return JSON.parse(metadata['wgrad'] ?? '{}') as Record<string, unknown>
}

function factsIn(bytes: Uint8Array): ModelFacts {
  const { itemTransforms, vocab } = metadataOf(bytes) as { itemTransforms?: { width?: number }[]; vocab?: string[] }
  const size = itemTransforms?.find(({ width }) => width !== undefined)?.width
  if (size === undefined || vocab === undefined) throw new Error('This file is not a model that this page has saved.')
  return { size, vocab }
}

/** Name of the body in a file of weights. */
function architectureOf(bytes: Uint8Array): string {
  const { architecture } = metadataOf(bytes) as { architecture?: { name?: string; options?: { backbone?: string } } }
  return architecture?.options?.backbone ?? architecture?.name ?? 'xresnet18'
}

async function keptHandle(): Promise<FileSystemDirectoryHandle> {
  return (await navigator.storage.getDirectory()).getDirectoryHandle('models', { create: true })
}

async function keptFolder(): Promise<ReturnType<typeof folderFiles>> {
  return folderFiles(await keptHandle())
}

/** Steps that are timed after one that compiles. */
const TIMED_STEPS = 3

async function timedLaunches(): Promise<readonly KernelTime[]> {
  await calls.stop()
  const before = currentGpu()
  if (!before.features.has('timestamp-query')) return []
  const { size, batchSize } = before.software ? FIRST.software : FIRST.gpu
  const gpu = await openGpu({ files, profile: true })
  try {
    const step = stepByHand(noise(batchSize * size * size * 3), [batchSize, size, size, 3], classes(batchSize))
    await step()
    await gpu.profiler?.rows(gpu.platform)
    gpu.profiler?.reset()
    for (let i = 0; i < TIMED_STEPS; i++) await step()
    const rows = (await gpu.profiler?.rows(gpu.platform)) ?? []
    const totalMs = rows.reduce((sum, { timeMs }) => sum + timeMs, 0)
    const groups = new Map<string, KernelTime>()
    for (const { label, timeMs, flops, bytes } of rows) {
      const operation = label.split(' ')[0]
      const sum = groups.get(operation) ?? { operation, launches: 0, timeMs: 0, share: 0, flops: 0, bytes: 0 }
      groups.set(operation, {
        operation,
        launches: sum.launches + 1 / TIMED_STEPS,
        timeMs: sum.timeMs + timeMs / TIMED_STEPS,
        share: sum.share + timeMs / totalMs,
        flops: sum.flops + flops / TIMED_STEPS,
        bytes: sum.bytes + bytes / TIMED_STEPS,
      })
    }
    return [...groups.values()].sort((a, b) => b.timeMs - a.timeMs)
  } finally {
    gpu.close()
    useGpu(before)
  }
}

function noise(count: number): Float32Array {
  const random = rng(0, 'page')
  return Float32Array.from({ length: count }, () => random.normal())
}

function classes(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i % 10)
}

addEventListener('message', ({ data }: MessageEvent<Request>) => {
  const { id, call, args } = data
  Promise.resolve()
    .then(() => (calls[call] as (...args: readonly unknown[]) => unknown)(...args))
    .then(
      (result) => send({ id, result }),
      (error: unknown) => send({ id, error: error instanceof Error ? error.message : String(error) }),
    )
})
