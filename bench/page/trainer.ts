/** The training worker: all that uses the GPU happens here, so that the page stays smooth. */
import {
  accuracy,
  addFiles,
  ClassificationInterpretation,
  loadLearner,
  memoryFiles,
  openGpu,
  removeFiles,
  storageFiles,
  type Gpu,
} from 'wgrad'
import { applyCleaning, type CleaningList } from 'wgrad/data'
import { currentGpu } from 'wgrad/gpu'
import { cleaningList, gradCam, type Predictor } from 'wgrad/train'
import { guess, NONE, shownOf } from './guesses.ts'
import { bodyIn, factsIn, type Body } from './model-facts.ts'
import type { AdapterFacts, Calls, Request } from './protocol.ts'
import { firstLearner } from './recipes/first.ts'
import { ownLearner } from './recipes/own.ts'
import { reporter } from './reporter.ts'
import { missing, ownSession, sessions, type Session } from './sessions.ts'
import { everyFifth } from './split.ts'
import { send, tell } from './telling.ts'
import { timedLaunches } from './timed-launches.ts'

/** Training of the bundled pictures: shorter on a processor, so that something happens there too. */
const FIRST = {
  gpu: { size: 64, batchSize: 16, epochs: 24 },
  software: { size: 32, batchSize: 16, epochs: 10 },
}
const FIRST_RATE = 1e-2
/** Highest learning rate of the visitor's pictures where no weights are pretrained. */
const OWN_RATE = 3e-3
const PRETRAINED = 'weights.safetensors'
/** Network that begins with random numbers: half as wide, as it has few pictures to learn from. */
const FROM_NOTHING: Body = { backbone: 'xresnet18', body: { widen: 0.5 } }

/** Folder of the visitor's pictures. */
const OWN = 'own/'
/** Pictures that may have a wrong label, of which the page hears. */
const HARDEST = 24

/** Files that the library writes in this tab, such as caches; nothing of them is kept. */
const written = memoryFiles()
/** Models that stay in the browser until the visitor forgets them. */
const kept = storageFiles('models')
let base = ''
let opened: Gpu | undefined
let running: Session | undefined
let stopping = false
/** Model of the visitor: trained here, or opened from a file. */
let predictor: Predictor | undefined
let modelBytes: Uint8Array | undefined
/** The visitor's pictures as the model of the last training finds them. */
let cleaning: CleaningList | undefined

const calls: {
  readonly [Name in keyof Calls]: (
    ...args: Parameters<Calls[Name]>
  ) => ReturnType<Calls[Name]> | Promise<ReturnType<Calls[Name]>>
} = {
  async open(address) {
    base = address
    // Here and not in `first`, which comes later than a Stop that is pressed while the adapter answers.
    stopping = false
    opened = await openGpu({ save: written })
    return factsOf(opened)
  },

  async first() {
    tell({ kind: 'phase', part: 'first', phase: 'preparing', text: 'Reading the pictures' })
    await bundledPictures()
    const { size, batchSize, epochs } = currentGpu().software ? FIRST.software : FIRST.gpu
    // Trying out kernels takes seconds that a first visit does not have.
    const learner = await firstLearner(size, batchSize, {
      callbacks: [reporter('first', () => stopping)],
      tune: { seconds: 0.5 },
    })
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
    removeFiles('own')
    await addFiles(new Map(pictures.map(({ path, picture }) => [path, picture])), { name: 'own' })
    tell({ kind: 'phase', part: 'own', phase: 'preparing', text: 'Reading your pictures' })
    const { backbone, body } = pretrained ? await loadPretrained() : FROM_NOTHING
    const batchSize = Math.max(2, Math.min(16, Math.floor(pictures.length / 6)))
    const learner = await ownLearner({
      size,
      batchSize,
      backbone,
      body,
      splitter: everyFifth,
      ...(pretrained ? { pretrained: `weights/${PRETRAINED}` } : {}),
      callbacks: [reporter('own', () => stopping)],
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
    predictor = learner.predictor()
    modelBytes = undefined
    cleaning = undefined
    await fit(session, () => (pretrained ? learner.fineTune(epochs) : learner.fitOneCycle(epochs, OWN_RATE)))
    return { vocab: learner.loaders.vocab }
  },

  async predict(image) {
    if (!predictor) throw new Error('There is no model yet: train one, or open one.')
    const { label = NONE, probabilities } = await predictor.predict(image)
    return { label, probabilities: Array.from(probabilities) }
  },

  async explain(image) {
    if (!predictor) throw new Error('There is no model yet: train one, or open one.')
    const { label, overlay } = await gradCam(predictor, image)
    return { label, overlay }
  },

  async results() {
    const { learner } = ownSession()
    const { loaders } = learner
    const predictions = await learner.getPredictions()
    const interpretation = new ClassificationInterpretation(predictions, loaders.vocab)
    cleaning = await cleaningList(learner, { valid: predictions })
    return {
      vocab: loaders.vocab,
      accuracy: accuracy(predictions.predictions, predictions.targets),
      confusion: interpretation.confusionMatrix(),
      hardest: cleaning.items
        .toSorted((a, b) => b.loss - a.loss)
        .slice(0, HARDEST)
        .map((item) => ({ ...item, path: item.path.slice(OWN.length) })),
    }
  },

  async clean(path, to) {
    const item = cleaning?.items.find((one) => one.path === OWN + path)
    if (!cleaning || !item) throw new Error('This picture is not among those that were trained on.')
    const change = {
      ...item,
      ...(to === undefined ? { action: 'delete' as const } : { action: 'relabel' as const, to }),
    }
    const [{ to: moved }] = await applyCleaning({ ...cleaning, items: [change] }, { folder: 'own' })
    cleaning = { ...cleaning, items: cleaning.items.filter((one) => one !== item) }
    return moved.slice(OWN.length)
  },

  async exported(format) {
    if (format === 'safetensors') return (await exportedModel()).slice()
    const source = sessions.get('own')?.learner ?? predictor ?? missing()
    return source.exportOnnxBytes({ precision: 'f16' })
  },

  async openModel(bytes) {
    const { vocab } = factsIn(bytes)
    await calls.stop()
    predictor = await loadLearner(bytes)
    sessions.delete('own')
    modelBytes = bytes
    return { vocab }
  },

  keep: async (name) => kept.write(`${name}.safetensors`, await exportedModel()),
  async kept() {
    const entries = await kept.list('')
    return entries.map((entry) => entry.name.replace(/\.safetensors$/, ''))
  },
  openKept: async (name) => calls.openModel(await kept.read(`${name}.safetensors`)),
  async forget(name) {
    const root = await navigator.storage.getDirectory()
    await (await root.getDirectoryHandle('models')).removeEntry(`${name}.safetensors`)
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

  async kernels() {
    await calls.stop()
    return timedLaunches()
  },
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

/** Loads the weights that the page ships, once. @returns their architecture */
async function loadPretrained(): Promise<Body> {
  if (weights === undefined) {
    tell({ kind: 'phase', part: 'own', phase: 'preparing', text: 'Loading the weights' })
    const blob = await fetched(PRETRAINED)
    weights = bodyIn(new Uint8Array(await blob.arrayBuffer()))
    await addFiles(new Map([[PRETRAINED, blob]]), { name: 'weights' })
  }
  return weights
}
/** Architecture of the weights that the page ships, once they are loaded. */
let weights: Body | undefined

async function bundledPictures(): Promise<void> {
  if (bundled) return
  await addFiles(new File([await fetched('pictures.zip')], 'pictures.zip'), { name: 'pictures' })
  bundled = true
}
let bundled = false

async function fetched(name: string): Promise<Blob> {
  const response = await fetch(new URL(name, base))
  if (response.ok) return response.blob()
  throw new Error(`${name} cannot be read: the server answered ${response.status}.`)
}

function factsOf({ name, software, features }: Gpu): AdapterFacts {
  return { name, software, timestamps: features.has('timestamp-query'), features: [...features] }
}

async function exportedModel(): Promise<Uint8Array> {
  const session = sessions.get('own')
  if (!session) return modelBytes ?? missing()
  return session.learner.exportBytes({ precision: 'f16' })
}

/** Time in which a browser says that a device is lost, after work on it has failed. */
const LOST_MS = 500

/** An error as the page hears it: where the GPU is lost, that is the cause of whatever failed. */
async function failureOf(error: unknown): Promise<{ readonly error: string; readonly name: string }> {
  const { name, message } = error instanceof Error ? error : new Error(String(error))
  const lost = await Promise.race([
    opened?.device.lost.then(({ message: reason }) => reason || 'the browser gives no reason'),
    new Promise<undefined>((resolve) => setTimeout(resolve, LOST_MS)),
  ])
  return lost === undefined
    ? { error: message, name }
    : { error: `The GPU was lost, and the model with it (${lost}).`, name: 'DeviceError' }
}

addEventListener('message', ({ data }: MessageEvent<Request>) => {
  const { id, call, args } = data
  Promise.resolve()
    .then(() => (calls[call] as (...args: readonly unknown[]) => unknown)(...args))
    .then(
      (result) => send({ id, result }),
      async (error: unknown) => send({ id, ...(await failureOf(error)) }),
    )
})
