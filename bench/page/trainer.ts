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
import { fetched } from './fetched.ts'
import { guess, NONE, shownOf } from './guesses.ts'
import { bodyIn, requireModel, type Body } from './model-facts.ts'
import type { AdapterFacts, Calls, Part, Request } from './protocol.ts'
import { firstLearner } from './recipes/first.ts'
import { ownLearner } from './recipes/own.ts'
import { reporter } from './reporter.ts'
import { missing, ownSession, sessions, type Session } from './sessions.ts'
import { everyFifth } from './split.ts'
import { send, tell } from './telling.ts'

/** Training of the bundled pictures: shorter on a processor, so that something happens there too. */
const FIRST = {
  gpu: { size: 64, batchSize: 16, epochs: 24 },
  software: { size: 32, batchSize: 16, epochs: 10 },
}
const FIRST_RATE = 1e-2
/** Highest learning rate of the visitor's pictures where no weights are pretrained. */
const OWN_RATE = 3e-3
/** Ratio of the learning rate of the head to that of a pretrained body's first layers, as in `fineTune`. */
const LR_MULT = 100
const PRETRAINED = 'weights.safetensors'
/** Network that begins with random numbers: half as wide, as it has few pictures to learn from. */
const FROM_NOTHING: Body = { backbone: 'xresnet18', body: { widen: 0.5 } }

/** Folder of the visitor's pictures. */
const OWN = 'own/'
/** Pictures that may have a wrong label, of which the page hears. */
const HARDEST = 24
/** Classes with the largest probabilities, of which the page hears. */
const MOST_LABELS = 8

/** Files that the library writes in this tab, such as caches; nothing of them is kept. */
const written = memoryFiles()
/** Models that stay in the browser until the visitor forgets them. */
const kept = storageFiles('models')
let base = ''
let opening: Promise<Gpu> | undefined
let running: Session | undefined
/** Ends the training of a part, also one that still gets ready or waits for the other. */
const halt: Record<Part, AbortController> = { first: new AbortController(), own: new AbortController() }
/** Model of the visitor, trained here or opened from a file: the last of those that were finished. */
let model: { readonly predictor: Predictor; readonly bytes: Uint8Array } | undefined
/** The visitor's pictures as the model of the last training finds them. */
let cleaning: CleaningList | undefined

const calls: {
  readonly [Name in keyof Calls]: (
    ...args: Parameters<Calls[Name]>
  ) => ReturnType<Calls[Name]> | Promise<ReturnType<Calls[Name]>>
} = {
  async open(address) {
    base = address
    opening = openGpu({ save: written })
    return factsOf(await opening)
  },

  async first(saved) {
    const { signal } = halt.first
    await opening
    tell({ kind: 'phase', part: 'first', phase: 'preparing', text: 'Reading the pictures' })
    await bundledPictures()
    const { size, batchSize, epochs } = currentGpu().software ? FIRST.software : FIRST.gpu
    // Trying out kernels takes seconds that a first visit does not have.
    const learner = await firstLearner(size, batchSize, {
      callbacks: [reporter('first')],
      tune: { seconds: 0.5 },
    })
    const shown = await shownOf('first', learner)
    const session: Session = { part: 'first', learner, shown, batchSize, epochsLeft: epochs, signal, fresh: true }
    sessions.set('first', session)
    if (saved) return goOn(session, saved.epochsLeft, saved.bytes)
    await fit(session, () => learner.fitOneCycle(epochs, FIRST_RATE))
  },

  async more(part, epochs) {
    const session = sessions.get(part) ?? missing()
    session.signal = halt[part].signal
    await goOn(session, session.epochsLeft || epochs)
  },

  async stop(only) {
    for (const part of only ? [only] : (['first', 'own'] as const)) {
      halt[part].abort()
      halt[part] = new AbortController()
      if (running?.part === part) running.learner.interrupt()
    }
    await finished
  },

  async pretrained() {
    const response = await fetch(new URL(PRETRAINED, base), { method: 'HEAD' }).catch(() => undefined)
    // A server of a single page answers every address with that page.
    return response !== undefined && response.ok && !response.headers.get('content-type')?.startsWith('text/html')
  },

  async own({ pictures, epochs, size, pretrained }, saved) {
    await calls.stop()
    const { signal } = halt.own
    await opening
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
      callbacks: [reporter('own')],
      tune: { seconds: 5 },
    })
    const frozen = pretrained ? 1 : 0
    const session: Session = {
      part: 'own',
      learner,
      shown: await shownOf('own', learner),
      batchSize,
      pretrained,
      epochsLeft: epochs + frozen,
      signal,
      fresh: true,
    }
    sessions.set('own', session)
    cleaning = undefined
    if (saved) return goOn(session, saved.epochsLeft, saved.bytes)
    await fit(session, () => (pretrained ? learner.fineTune(epochs) : learner.fitOneCycle(epochs, OWN_RATE)))
  },

  async predict(image) {
    const { text, top } = await ofImage(image, (predictor) => predictor.predict(image, { topK: MOST_LABELS }))
    return { label: text || NONE, top }
  },

  async explain(image) {
    const { label, overlay } = await ofImage(image, (predictor) => gradCam(predictor, image))
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
    const { predictor, bytes } = model ?? missing()
    return format === 'safetensors' ? bytes : predictor.exportOnnxBytes({ precision: 'f16' })
  },

  async openModel(bytes, unsaved = false) {
    requireModel(bytes)
    const predictor = await loadLearner(bytes)
    await calls.stop()
    use({ predictor, bytes }, unsaved)
  },

  async keep(name) {
    const { bytes } = model ?? missing()
    const names = await calls.kept()
    let free = name
    for (let number = 2; names.includes(free); number++) free = `${name} (${number})`
    await kept.write(`${free}.safetensors`, bytes)
    return free
  },
  async kept() {
    const entries = await kept.list('')
    return entries.map((entry) => entry.name.replace(/\.safetensors$/, ''))
  },
  openKept: async (name) => calls.openModel(await kept.read(`${name}.safetensors`)),
  async forget(name) {
    const root = await navigator.storage.getDirectory()
    const folder = await root.getDirectoryHandle('models')
    await folder.removeEntry(`${name}.safetensors`).catch((error: unknown) => {
      // Another tab forgot it.
      if (!(error instanceof DOMException && error.name === 'NotFoundError')) throw error
    })
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
}

/** Goes on with a training, or with what was saved of one whose GPU was lost. */
async function goOn(session: Session, epochs: number, saved?: Uint8Array): Promise<void> {
  const { part, learner, pretrained } = session
  if (saved) await learner.load(saved)
  // Stopped while the head alone was trained, the body is frozen.
  if (pretrained) learner.unfreeze()
  const most = part === 'first' ? FIRST_RATE : OWN_RATE
  const rate = Math.max(learner.optimizer?.hyperparameters.at(-1)?.lr ?? most, most / 10)
  session.epochsLeft = epochs
  // Neither a new warm-up nor the end of the old cycle: the rate of before, falling to nothing again.
  const rates = pretrained ? { start: rate / LR_MULT, stop: rate } : rate
  await fit(session, () => learner.fitFlatCos(epochs, rates, { pctStart: 0.3 }))
}

/** Settles when the fit that is going on has ended. */
let finished: Promise<unknown> = Promise.resolve()

/** Runs a fit of a session, with guesses about the pictures on the page meanwhile. */
async function fit(session: Session, work: () => Promise<void>): Promise<void> {
  const { part, learner, signal } = session
  // A training that was stopped while it got ready need not wait for the one before.
  if (!signal.aborted) {
    if (running) tell({ kind: 'phase', part, phase: 'preparing', text: 'Waiting for the other training to end' })
    const stopped = new Promise((resolve) => signal.addEventListener('abort', resolve))
    await Promise.race([finished, stopped])
  }
  if (signal.aborted) return tell({ kind: 'phase', part, phase: 'stopped', text: 'Stopped' })
  running = session
  session.fresh = true
  tell({ kind: 'phase', part, phase: 'compiling', text: 'Compiling kernels for this adapter' })
  let interrupted = false
  const whole = (async () => {
    const done = work()
    void keepGuessing(session)
    try {
      await done
    } finally {
      running = undefined
    }
    // The next operation of the learner forgets it.
    interrupted = learner.interrupted
    await guess(session)
    if (part !== 'own') return
    use({ predictor: learner.predictor(), bytes: await learner.exportBytes({ precision: 'f16' }) }, true)
  })()
  // The last guesses belong to it: what waits may open another device.
  finished = whole.catch(() => undefined)
  await whole
  tell(
    interrupted
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
    const blob = await fetched(PRETRAINED, base)
    weights = bodyIn(new Uint8Array(await blob.arrayBuffer()))
    await addFiles(new Map([[PRETRAINED, blob]]), { name: 'weights' })
  }
  return weights
}
/** Architecture of the weights that the page ships, once they are loaded. */
let weights: Body | undefined

async function bundledPictures(): Promise<void> {
  if (bundled) return
  await addFiles(new File([await fetched('pictures.zip', base)], 'pictures.zip'), { name: 'pictures' })
  bundled = true
}
let bundled = false

function factsOf({ name, software, features }: Gpu): AdapterFacts {
  return { name, software, timestamps: features.has('timestamp-query'), features: [...features] }
}

/** Makes a model the one that is tried and saved. The page has its bytes, which outlast the GPU. */
function use(next: NonNullable<typeof model>, unsaved: boolean): void {
  model = next
  tell({ kind: 'model', bytes: next.bytes, unsaved })
}

/** Does something with an image, whose memory is free at once: a webcam gives ten a second. */
async function ofImage<Result>(image: ImageBitmap, work: (predictor: Predictor) => Promise<Result>): Promise<Result> {
  try {
    return await work((model ?? missing()).predictor)
  } finally {
    image.close()
  }
}

/** Time in which a browser says that a device is lost, after work on it has failed. */
const LOST_MS = 500

/** An error as the page hears it: where the GPU is lost, that is the cause of whatever failed. */
async function failureOf(error: unknown): Promise<{ readonly error: string; readonly lost: boolean }> {
  const gpu = await opening?.catch(() => undefined)
  const reason = await Promise.race([
    gpu?.device.lost.then(({ message }) => message || 'the browser gives no reason'),
    new Promise<undefined>((resolve) => setTimeout(resolve, LOST_MS)),
  ])
  if (reason !== undefined) return { error: `The GPU was lost (${reason}).`, lost: true }
  return { error: error instanceof Error ? error.message : String(error), lost: false }
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
