/**
 * `npm run transfer`: what weights that were trained on other pictures are worth. A network learns some of the classes
 * from all of their images; the rest of the classes, of which it sees a few images each, are then learnt from its body
 * and, beside that, from scratch. `bench/peers/torch_transfer.py` does the same in PyTorch.
 */
import { rng } from '../src/base/rng.ts'
import { choice, numberIn, parseCommand, runCommand, whole } from '../src/cli/command.ts'
import { PixelCache } from '../src/exports/data.ts'
import { backbones } from '../src/exports/nn.ts'
import { wilsonInterval } from '../src/exports/train.ts'
import {
  accuracy,
  CategoryBlock,
  DataBlock,
  DataError,
  flipItem,
  getImageFiles,
  grandparentSplitter,
  ImageBlock,
  imagenetStats,
  Learner,
  normalize,
  openGpu,
  parentLabel,
  randomResizedCrop,
  visionLearner,
} from '../src/node.ts'
import { requireNoRun, RunFolder } from '../src/platform/node/run-folder.ts'

/** File of the weights that the new classes are learnt from. */
const BODY_FILE = 'body.safetensors'

const USAGE = `npm run transfer -- --data DIR [options]

  --data DIR        class folders below train/ and val/
  --classes N       the first N classes, by name, to train the body on; the others are the new ones (7)
  --images N        training images of each new class (30)
  --size N          pixels a side (64)
  --epochs N        on the first classes, in batches of 64 (10)
  --then-epochs N   on the new classes, after one of the head alone, in batches of 16 (20)
  --lr X            the highest learning rate on the first classes (0.003)
  --then-lr X       on the new ones: fineTune's, and from scratch the highest (0.002)
  --model NAME      (resnet18)
  --seeds A,B       one choice of images, head and order each (0,1,2)
  --out DIR         where ${BODY_FILE} and results.json go (runs/<time>); not one with those of another run
  --help
`

const DEFINITION = {
  data: { type: 'string' },
  classes: { type: 'string' },
  images: { type: 'string' },
  size: { type: 'string' },
  epochs: { type: 'string' },
  'then-epochs': { type: 'string' },
  lr: { type: 'string' },
  'then-lr': { type: 'string' },
  model: { type: 'string' },
  seeds: { type: 'string' },
  out: { type: 'string' },
  help: { type: 'boolean' },
} as const

/** Batch sizes: of the first classes, and of the few images of the new ones. */
const BATCH = { first: 64, then: 16 } as const

interface SplitOf {
  /** Classes whose images are used. */
  readonly classes: ReadonlySet<string>
  /** Chooses among the training images of a class. Default: all of them */
  readonly choose?: (items: readonly number[]) => readonly number[]
}

async function main(argv: readonly string[]): Promise<void> {
  const given = parseCommand('transfer', argv, DEFINITION).values
  if (given.help) {
    console.log(USAGE)
    return
  }
  const data = given.data ?? process.env.IMAGENETTE_PATH
  if (data === undefined) {
    throw new DataError('transfer', 'no images are named', { fix: 'give --data DIR, with train/ and val/ below it' })
  }
  const [classes, images, size, epochs, thenEpochs] = [
    whole('--classes', given.classes, 1, 1000) ?? 7,
    whole('--images', given.images, 1, Infinity) ?? 30,
    whole('--size', given.size, 32, 1024) ?? 64,
    whole('--epochs', given.epochs, 1, 10_000) ?? 10,
    whole('--then-epochs', given['then-epochs'], 1, 10_000) ?? 20,
  ]
  const [lr, thenLr] = [
    numberIn('--lr', given.lr, 0, 10) ?? 3e-3,
    numberIn('--then-lr', given['then-lr'], 0, 10) ?? 2e-3,
  ]
  const backbone = backbones[choice('--model', given.model ?? 'resnet18', Object.keys(backbones))]
  const seeds = (given.seeds ?? '0,1,2').split(',').map((seed) => whole('--seeds', seed, 0, 2 ** 31))

  await requireNoRun(given.out, undefined, BODY_FILE)
  const gpu = await openGpu()
  const { log, decoder } = gpu.platform
  log(`${gpu.name}${gpu.software ? ': a software adapter' : ''}`)
  const folder = await RunFolder.open(given.out, log)
  const cache = new PixelCache()
  const items = await getImageFiles(data)
  const names = [...new Set(items.map(parentLabel))].sort()
  const [first, others] = [names.slice(0, classes), names.slice(classes)]
  if (others.length < 2) {
    throw new DataError(data, 'too few classes are left for what comes after', {
      given: { classes: names.length, first: first.length },
      expected: 'two or more beyond the first',
    })
  }

  const byFolder = grandparentSplitter({ valid: 'val' })
  const loadersOf = ({ classes, choose = (all) => all }: SplitOf, batchSize: number, seed: number) => {
    const used = items.filter((item) => classes.has(parentLabel(item)))
    return new DataBlock({
      blocks: [ImageBlock(), CategoryBlock()],
      getItems: () => used,
      getY: parentLabel,
      splitter(all) {
        const { train, valid } = byFolder(all)
        const ofClass = (name: string) => [...train].filter((item) => parentLabel(all[item]) === name)
        return { train: Uint32Array.from([...classes].flatMap((name) => choose(ofClass(name)))), valid }
      },
      itemTransforms: [randomResizedCrop(size, { minScale: 0.35 }), flipItem()],
      batchTransforms: [normalize(imagenetStats)],
    }).loaders(data, { batchSize, seed, cache })
  }

  log(`first: ${first.length} classes, all images, ${epochs} epochs, ${size} px`)
  const body = new Learner(
    await loadersOf({ classes: new Set(first) }, BATCH.first, 0),
    backbone({ outputs: first.length, seed: 0 }),
    { metrics: [accuracy] },
  ).toFp16()
  await body.fitOneCycle(epochs, lr)
  const pretrained = folder.file(BODY_FILE)
  await body.export(pretrained)

  const rows: { seed: number; pretrained: number; scratch: number }[] = []
  let measured = 0
  for (const seed of seeds) {
    const choose = (all: readonly number[]) =>
      [...rng(seed, 'images').permutation(all.length).subarray(0, images)].map((place) => all[place])
    const loaders = () => loadersOf({ classes: new Set(others), choose }, BATCH.then, seed)
    const options = { metrics: [accuracy], body: { seed } }
    log(`seed ${seed}: ${others.length} classes, ${images} images each, from the body`)
    const tuned = await visionLearner(await loaders(), backbone, { ...options, pretrained })
    await tuned.toFp16().fineTune(thenEpochs, thenLr)
    log(`seed ${seed}: the same from scratch`)
    const scratch = await visionLearner(await loaders(), backbone, options)
    await scratch.toFp16().fitOneCycle(thenEpochs + 1, thenLr)
    const last = (learner: Learner) => learner.recorder.rows.at(-1)?.metrics.accuracy ?? NaN
    measured = tuned.loaders.valid.items.length
    rows.push({ seed, pretrained: last(tuned), scratch: last(scratch) })
  }
  const mean = (of: (row: (typeof rows)[number]) => number) => rows.reduce((sum, row) => sum + of(row), 0) / rows.length
  const text = (of: (row: (typeof rows)[number]) => number) =>
    `${mean(of).toFixed(4)}   ${rows.map((row) => of(row).toFixed(4)).join(' ')}`
  log(`accuracy, mean and each seed`)
  log(`pretrained     ${text((row) => row.pretrained)}`)
  log(`from scratch   ${text((row) => row.scratch)}`)
  const [low, high] = wilsonInterval(Math.round(mean((row) => row.pretrained) * measured), measured)
  log(`95% interval of one seed, pretrained, on ${measured} images: ${low.toFixed(4)} to ${high.toFixed(4)}`)
  const result = { adapter: gpu.name, software: gpu.software, options: given, first, others, rows }
  await folder.write('results.json', `${JSON.stringify(result, null, 2)}\n`)
  await folder.close()
  await decoder.close()
  gpu.close()
}

await runCommand(main)
