import { parseRecord } from '../../base/json.ts'
import { openGpuOn } from '../../exports/gpu.ts'
import { readImageFolder } from '../../exports/data.ts'
import { Interrupted, nodePlatform, readPretrained, type Callback, type Gpu, type Learner } from '../../node.ts'
import { RunFolder } from '../../platform/node/run-folder.ts'
import { quoted } from '../../platform/node/terminal.ts'
import { EXIT } from '../exit-codes.ts'
import { look, type ClassCount } from '../look.ts'
import { invocation, Output } from '../output.ts'
import { begin, requireFitting, requireSameTable } from './begin.ts'
import { learnerOf, loadersOf } from './build.ts'
import { conclude } from './conclude.ts'
import { FILES } from './files.ts'
import { learningRate } from './learning-rate.ts'
import { begunBefore, readTrainOptions, sourceOf, USAGE, type Begun, type Settings } from './options.ts'
import { epochsOf, historyCsv, layersOf } from './run-log.ts'

export const SUMMARY = 'train a network on a folder of images'

export async function main(argv: readonly string[]): Promise<void> {
  const options = readTrainOptions(argv, `${invocation()} train --help`)
  if (options.help) {
    console.log(USAGE)
    return
  }
  const output = new Output(options.json)
  const { platform } = output
  let gpu: Gpu | undefined
  let run: RunFolder | undefined
  let isAsked = false
  let stopListening = () => {}
  /** From here on Ctrl-C ends the work in order: a fit listens by itself, and between fits the work looks here. */
  const listen = () => {
    stopListening = platform.onInterrupt(() => {
      isAsked = true
    })
  }
  const stopIfAsked = () => {
    if (isAsked) throw new Interrupted()
  }
  try {
    if (options.resume === undefined) {
      const { folder } = options.valid
      const given = { ...options.reading, ...(folder === undefined ? {} : { valid: folder }) }
      // Errors of the folder come before those of the machine, and both before the long work.
      const read = () => readImageFolder(options.folder, { ...given, platform })
      await requireFitting(platform.files, options, await output.quietly(read))
      gpu = await openGpuOn(platform)
      const source = sourceOf(options)
      const pretrained = source === undefined ? undefined : await readPretrained(source, { platform })
      listen()
      const survey = await look(output, options.folder, given, { decoder: options.decoder, onImage: stopIfAsked })
      run = await begin(output, gpu, { options, survey, pretrained })
    } else {
      const begun = await begunBefore(platform.files, options.resume)
      run = await RunFolder.open(options.resume, platform.log)
      if (await isOver(run)) {
        output.say(`${run.path} is the folder of a run that is over: there is nothing to continue`)
        output.document({
          event: 'end',
          folder: run.path,
          ...parseRecord(run.file(FILES.results), await platform.files.readText(run.file(FILES.results)), 'remove it'),
        })
        return
      }
      gpu = await openGpuOn(platform)
      listen()
      output.keepLog(run.file(FILES.log))
      output.say(`continuing ${run.path}, begun ${begun.started}`)
      await requireSameTable(output, run, begun)
    }
    await train({ output, gpu, run, resume: options.resume !== undefined, stopIfAsked })
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error
    output.say(
      run === undefined
        ? '\ninterrupted before there was a run'
        : `\nto continue: ${invocation()} train --resume ${quoted(run.path)}`,
    )
    output.document({ event: 'interrupted', ...(run && { folder: run.path }) })
    process.exitCode = EXIT.interrupted
  } finally {
    stopListening()
    await run?.close()
    await platform.decoder.close()
    gpu?.close()
  }
}

/** True if a run is over: its results are written, and its checkpoint is removed, which is done last. */
async function isOver(run: RunFolder): Promise<boolean> {
  const { files } = nodePlatform
  return (await files.exists(run.file(FILES.results))) && !(await files.exists(run.file(FILES.checkpoint)))
}

/** One run of the command. */
interface Going {
  readonly output: Output
  readonly gpu: Gpu
  readonly run: RunFolder
  readonly resume: boolean
  /** @throws Interrupted  if Ctrl-C was pressed */
  readonly stopIfAsked: () => void
}

/** Trains, and writes the results. @throws Interrupted  if Ctrl-C was pressed; the run keeps its checkpoint */
async function train({ output, gpu, run, resume, stopIfAsked }: Going): Promise<void> {
  const { platform } = output
  const start = platform.now()
  const begun = await begunBefore(platform.files, run.path)
  const { settings } = begun
  stopIfAsked()
  const loaders = await loadersOf(output, run, settings)
  const pretrained = settings.pretrained === null ? undefined : await readPretrained(settings.pretrained, { platform })
  const fineTuned = pretrained !== undefined
  output.say(`\n${settingsText(settings, gpu)}`)
  output.document({ event: 'start', folder: run.path, adapter: gpu.name, settings: { ...settings } })
  const advice = fineTuned ? undefined : hint(begun)
  if (advice !== undefined) output.say(advice)

  let epochsHere = 0
  const tellEpoch: Callback = {
    name: 'tellEpoch',
    // Position after the recorder.
    order: 55,
    async afterEpoch() {
      epochsHere++
      const fits = epochsOf(learner.recorder.fits)
      const row = fits.at(-1)?.epochs.at(-1)
      output.document({ event: 'epoch', layers: layersOf(fits.length - 1, fineTuned), ...row })
      await run.attempt(FILES.history, () => run.write(FILES.history, historyCsv(fits, fineTuned)))
    },
  }
  let isMade = false
  const make = async (callbacks: readonly Callback[]): Promise<Learner> => {
    const work = () => learnerOf(settings, loaders, pretrained, callbacks)
    // The first one says which weights were loaded.
    const learner = await (isMade ? output.quietly(work) : work())
    isMade = true
    return learner
  }
  stopIfAsked()
  const search = await learningRate(output, run, settings, make)
  const learner = await make([tellEpoch])
  stopIfAsked()
  const checkpoint = { checkpoint: run.file(FILES.checkpoint), resume }
  if (fineTuned) {
    output.say(`\nthe head alone (epochs: ${settings.freezeEpochs}), then all layers (epochs: ${settings.epochs})`)
    await learner.fineTune(settings.epochs, search.lr, { freezeEpochs: settings.freezeEpochs, ...checkpoint })
  } else await learner.fitOneCycle(settings.epochs, search.lr, checkpoint)
  if (learner.interrupted) throw new Interrupted()
  // The epochs before an interruption count, not the time until the run was continued.
  const { history } = learner.recorder
  const before = history.slice(0, history.length - epochsHere).reduce((sum, { timeMs }) => sum + timeMs, 0)
  await conclude({ output, gpu, run }, { begun, learner, search, startMs: start - before })
}

function settingsText(settings: Settings, gpu: Gpu): string {
  const { model, widen, pretrained, size, epochs, freezeEpochs, batchSize, fp32, decoder, shrink, seed } = settings
  const begun = pretrained === null ? 'random weights' : `the weights of ${pretrained}`
  const passes = freezeEpochs > 0 ? `${freezeEpochs} + ${epochs}` : String(epochs)
  return [
    `${gpu.name}${gpu.software ? ': a software adapter, which computes on the processor' : ''}`,
    `${model}${widen === 1 ? '' : `, ${widen} times as wide,`} from ${begun}, ${size} px, ${passes} epochs in batches of ${batchSize}, ${fp32 ? 'single' : 'mixed'} precision, seed ${seed}`,
    ...(decoder === 'turbo' ? [] : [`decoded by ${decoder}${shrink === 'fast' ? ' at the size that is needed' : ''}`]),
  ].join('\n')
}

/** Images per class below which weights that know images pay most. Source: Kornblith et al. 2019, arXiv:1805.08974, figure 8. */
const FEW = 200

function hint({ settings, look: { classes } }: Begun): string | undefined {
  const counts = (classes as unknown as ClassCount[]).map(({ train: count }) => count)
  if (counts.length === 0) return undefined
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length
  return mean < FEW
    ? `with so few images, ${Math.round(mean)} of a ${settings.targets === 'labels' ? 'label' : 'class'}, weights that know images already do much better: --pretrained hub`
    : undefined
}
