import { OptionError } from '../../base/errors.ts'
import { cleaningListText, type CleaningList } from '../../exports/data.ts'
import { cleaningList, suggestThreshold, type ItemPredictions } from '../../exports/train.ts'
import type { Gpu, Learner } from '../../node.ts'
import type { RunFolder } from '../../platform/node/run-folder.ts'
import { quoted } from '../../platform/node/terminal.ts'
import { EXIT } from '../exit-codes.ts'
import { measureTargets } from '../measured.ts'
import { invocation, type Output } from '../output.ts'
import { wgradVersion } from '../version.ts'
import { FILES } from './files.ts'
import type { Settings } from './options.ts'
import { reportOf, type Trained } from './report.ts'
import { epochsOf, historyCsv, layersOf } from './run-log.ts'

/** Output, adapter and folder of a run, to which its results are written. */
interface Destination {
  readonly output: Output
  readonly gpu: Gpu
  readonly run: RunFolder
}

/** Measures, and writes all files. */
export async function conclude({ output, gpu, run }: Destination, trained: Trained): Promise<void> {
  const { platform } = output
  const { begun, learner, startMs } = trained
  const fits = epochsOf(learner.recorder.fits)
  const results = await learner.getPredictions()
  const { target } = learner.loaders
  const isClass = target.columns === 'class'
  const measured = measureTargets(results, target, learner.loss.threshold)
  output.say(`\n${measured.text}`)
  // Several labels per image have a threshold already, that of the loss.
  const found = isClass ? thresholdFor(begun.settings.threshold, results, output) : undefined
  const known = found === undefined ? {} : { threshold: found }
  await run.attempt(FILES.model, () => learner.export(run.file(FILES.model), known))
  await run.attempt(FILES.onnx, () => learner.exportOnnx(run.file(FILES.onnx), known))
  const fineTuned = begun.settings.pretrained !== null
  await run.attempt(FILES.history, () => run.write(FILES.history, historyCsv(fits, fineTuned)))
  const cleaning = isClass ? await wrongLabels(learner, results, { output, run }) : undefined
  const seconds = (platform.now() - startMs) / 1000
  const document = {
    wgrad: wgradVersion(),
    adapter: gpu.name,
    software: gpu.software,
    started: begun.started,
    seconds,
    settings: { ...begun.settings },
    lr: trained.search.lr,
    ...measured.json,
    ...(cleaning && { suggestedLabels: suggestedIn(cleaning) }),
    epochs: fits.flatMap(({ epochs }, fit) => epochs.map((row) => ({ layers: layersOf(fit, fineTuned), ...row }))),
    look: begun.look,
  }
  await run.attempt(FILES.results, () => run.write(FILES.results, `${JSON.stringify(document, null, 2)}\n`))
  await run.attempt(FILES.report, async () => {
    const { page, hasCharts } = await reportOf({ measured, trained, cleaning, gpu, run, seconds })
    if (!hasCharts) output.say('the report has no curves, which take the package echarts: npm install echarts')
    await run.write(FILES.report, page)
  })
  const { unwritten } = run
  const wanted = [
    FILES.report,
    FILES.model,
    FILES.onnx,
    FILES.history,
    FILES.images,
    ...(cleaning ? [FILES.cleaning] : []),
  ]
  const written = wanted.filter((name) => !unwritten.includes(name))
  if (unwritten.length === 0) await run.remove([FILES.checkpoint])
  output.say(
    [
      '',
      ...(unwritten.length > 0
        ? [`NOT written: ${unwritten.join(', ')}; to write them: ${invocation()} train --resume ${quoted(run.path)}`]
        : []),
      `written: ${run.file(written[0])}${written.length > 1 ? `, and beside it ${written.slice(1).join(', ')}` : ''}`,
      ...(written.includes(FILES.model)
        ? [`to use it: ${invocation()} predict ${quoted(run.file(FILES.model))} picture.jpg`]
        : []),
    ].join('\n'),
  )
  output.document({ event: 'end', folder: run.path, ...document })
  const last = fits.at(-1)?.epochs.at(-1)
  const finite = last !== undefined && Number.isFinite(last.trainLoss) && Number.isFinite(last.validLoss)
  process.exitCode = finite && unwritten.length === 0 ? EXIT.good : EXIT.notGood
}

function suggestedIn({ items }: CleaningList): number {
  return items.filter(({ suggested }) => suggested !== undefined).length
}

/** Lists images by loss, with the labels that they probably should have, and writes that. */
async function wrongLabels(
  learner: Learner,
  valid: ItemPredictions,
  { output, run }: Pick<Destination, 'output' | 'run'>,
): Promise<CleaningList> {
  output.say('\nlooking for wrong labels')
  const cleaning = await cleaningList(learner, { valid })
  await run.attempt(FILES.cleaning, () => run.write(FILES.cleaning, `${cleaningListText(cleaning)}\n`))
  output.say(`another label is suggested for ${suggestedIn(cleaning)} of ${cleaning.items.length} images`)
  return cleaning
}

/** Returns the probability below which the model answers "none of these", found from predictions if it is not given. */
function thresholdFor(wanted: Settings['threshold'], results: ItemPredictions, output: Output): number | undefined {
  if (wanted !== 'suggest') return wanted ?? undefined
  try {
    const { threshold, right, wrong, rightKnown, wrongKnown } = suggestThreshold(results)
    output.say(
      `"none of these" below a probability of ${threshold.toFixed(3)}; of the images measured on that leaves ` +
        `${rightKnown} of ${right} right and ${wrongKnown} of ${wrong} wrong answers`,
    )
    return threshold
  } catch (error) {
    // With no image classified correctly there is none to suggest; the model is kept all the same.
    if (!(error instanceof OptionError)) throw error
    output.say(`the model has no threshold: ${error.message}`)
    return undefined
  }
}
