/** `npm run page`: builds the page that trains in a browser tab (bench/page), and opens it. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { zipSync } from 'fflate'
import { build, preview } from 'vite'
import { DataError, OptionError } from '../src/base/errors.ts'
import { parseCommand, runCommand, whole } from '../src/cli/command.ts'
import { rng } from '../src/exports/gpu.ts'
import { drawPicture } from '../src/image/drawing.ts'
import { encodeJpeg } from '../src/image/encode-jpeg.ts'
import { resizePixels } from '../src/image/resize.ts'
import { resizeImages } from '../src/node.ts'
import { nodePlatform } from '../src/platform/node/index.ts'

const USAGE = `npm run page -- [options]     builds the page, serves it on this machine and opens it

  --build          only writes the static files, which any host serves
  --out DIR        where to (dist/page)
  --data DIR       pictures of the first minute, such as Imagenette: DIR/train/CLASS/… and DIR/val/CLASS/…
                   (default: drawings, made here)
  --images N       of them, at most (576)
  --weights FILE   pretrained weights for the visitor's pictures: a safetensors file that \`learner.export\` wrote
                   (default: bench/page/public/weights.safetensors, where it is there)
  --no-peers       without the comparison with TensorFlow.js and jax-js
  --port N         of the server (5173)
  --no-open        serves without opening a browser
`

const DEFINITION = {
  build: { type: 'boolean' },
  out: { type: 'string' },
  data: { type: 'string' },
  images: { type: 'string' },
  weights: { type: 'string' },
  'no-peers': { type: 'boolean' },
  port: { type: 'string' },
  'no-open': { type: 'boolean' },
  help: { type: 'boolean' },
} as const

/** Kinds of drawings on the page: those that a small network tells apart within a minute. */
const KINDS = ['checkerboard', 'dots', 'ring', 'spiral', 'star', 'stripes'] as const
/** Goes up when the drawings change, so that those of an earlier build are not taken for new ones. */
const DRAWINGS = 1
/** Sides of a bundled picture in pixels: of a drawing the shorter, of a photograph the longer, which are about 4:3. */
const SHORTER_SIDE = 64
const LONGER_SIDE = 86
/** JPEG quality of the drawings. */
const QUALITY = 80
/** Every sixth picture of a class is there to measure on. */
const VALID_EVERY = 6

const root = fileURLToPath(new URL('../../', import.meta.url))

async function main(argv: readonly string[]): Promise<void> {
  const given = parseCommand('page', argv, DEFINITION).values
  if (given.help) {
    console.log(USAGE)
    return
  }
  const images = whole('--images', given.images, 60, 20_000) ?? 576
  const port = whole('--port', given.port, 1, 65_535) ?? 5173
  const out = given.out ?? join(root, 'dist', 'page')
  const temporary = await mkdtemp(join(tmpdir(), 'wgrad-page-'))
  try {
    await buildPage({ out, images, data: given.data, weights: given.weights, peers: !given['no-peers'], temporary })
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  const bytes = await sizeOf(out)
  console.log(`the page: ${out}, ${(bytes / 2 ** 20).toFixed(1)} MiB`)
  if (given.build) return
  const server = await preview({
    configFile: join(root, 'bench', 'page', 'vite.config.mjs'),
    build: { outDir: out },
    preview: { port, open: !given['no-open'] },
  })
  server.printUrls()
  // Serves until Ctrl-C.
  await new Promise(() => undefined)
}

interface Build {
  readonly out: string
  readonly images: number
  readonly data: string | undefined
  readonly weights: string | undefined
  readonly peers: boolean
  readonly temporary: string
}

async function buildPage({ out, images, data, weights, peers, temporary }: Build): Promise<void> {
  const publicDir = join(temporary, 'public')
  await mkdir(publicDir)
  const shipped = join(root, 'bench', 'page', 'public')
  await cp(shipped, publicDir, { recursive: true }).catch(() => undefined)
  if (weights !== undefined) {
    await cp(weights, join(publicDir, 'weights.safetensors')).catch((cause: unknown) => {
      throw new DataError(weights, 'the weights cannot be read', { cause })
    })
  }
  const { zip, origin } = await pictures(images, data, temporary)
  await writeFile(join(publicDir, 'pictures.zip'), zip)
  await writeFile(join(publicDir, 'pictures.json'), JSON.stringify({ origin }))
  // Vite's settings leave out what is not there.
  if (!peers) process.env['WGRAD_PAGE_PEERS'] = '0'
  await build({
    configFile: join(root, 'bench', 'page', 'vite.config.mjs'),
    publicDir,
    logLevel: 'warn',
    build: { outDir: out },
  })
}

/** All bundled pictures as one file: a zip of `train/CLASS/…` and `val/CLASS/…`. */
async function pictures(
  images: number,
  data: string | undefined,
  temporary: string,
): Promise<{ readonly zip: Uint8Array; readonly origin: string }> {
  if (data === undefined) {
    return { zip: await drawnOnce(images), origin: 'The first pictures are drawings that wgrad made itself.' }
  }
  const folder = join(temporary, 'chosen')
  for (const [from, to] of await choose(data, images)) {
    await mkdir(dirname(join(folder, to)), { recursive: true })
    await cp(from, join(folder, to))
  }
  const small = join(temporary, 'small')
  await resizeImages(folder, { size: LONGER_SIDE, dest: small, platform: nodePlatform })
  await nodePlatform.decoder.close()
  const files: Record<string, Uint8Array> = {}
  for (const path of (await readdir(small, { recursive: true })).sort()) {
    if (path.endsWith('.jpg')) files[path.replaceAll('\\', '/')] = await readFile(join(small, path))
  }
  const origin = /imagenette/i.test(data)
    ? 'The first pictures are a part of Imagenette by Jeremy Howard (Apache 2.0), made smaller.'
    : 'The first pictures come from the folder that this page was built with.'
  return { zip: zipped(files), origin }
}

/** Drawings take seconds, so the file of an earlier build is used again. */
async function drawnOnce(images: number): Promise<Uint8Array> {
  const file = join(root, 'dist', `page-drawings-${DRAWINGS}-${images}.zip`)
  const known = await readFile(file).catch(() => undefined)
  if (known) return known
  console.log(`drawing ${images} pictures`)
  const zip = drawn(images)
  await writeFile(file, zip)
  return zip
}

function drawn(images: number): Uint8Array {
  const files: Record<string, Uint8Array> = {}
  for (let image = 0; image < images; image++) {
    const kind = KINDS[image % KINDS.length]
    const number = Math.floor(image / KINDS.length)
    const draw = rng(0, 'page', DRAWINGS, image)
    const { width, height, data } = drawPicture(kind, draw)
    const scale = SHORTER_SIDE / Math.min(width, height)
    const [w, h] = [Math.round(width * scale), Math.round(height * scale)]
    const small = resizePixels({ width, height, data }, { width: w, height: h, method: 'squish', position: [0.5, 0.5] })
    const side = number % VALID_EVERY === VALID_EVERY - 1 ? 'val' : 'train'
    files[`${side}/${kind}/${String(number).padStart(4, '0')}.jpg`] = encodeJpeg(small, QUALITY)
  }
  return zipped(files)
}

/** JPEG files do not get any smaller; a fixed date gives the same bytes every time. */
function zipped(files: Record<string, Uint8Array>): Uint8Array {
  return zipSync(files, { level: 0, mtime: '2026-01-01' })
}

/** Picks as many pictures of each class as there is room for, some of them to measure on. */
async function choose(source: string, images: number) {
  const chosen: (readonly [from: string, to: string])[] = []
  const classes = (
    await readdir(join(source, 'train')).catch((cause: unknown) => {
      throw new DataError(source, 'there is no folder train in it', {
        expected: 'DIR/train/CLASS/… and DIR/val/CLASS/…',
        cause,
      })
    })
  ).filter((name) => !name.startsWith('.'))
  if (classes.length < 2) {
    throw new OptionError('--data', 'fewer than two classes', { given: { classes: classes.join(', ') } })
  }
  const each = images / classes.length
  for (const name of classes.sort()) {
    for (const [side, share] of [
      ['train', 1 - 1 / VALID_EVERY],
      ['val', 1 / VALID_EVERY],
    ] as const) {
      const folder = join(source, side, name)
      const names = (await readdir(folder)).sort().slice(0, Math.round(each * share))
      for (const file of names) chosen.push([join(folder, file), `${side}/${WORDS[name] ?? name}/${file}`])
    }
  }
  return chosen
}

/** Imagenette's classes in words. Source: fastai's lesson, lbl_dict. */
const WORDS: Readonly<Record<string, string>> = {
  n01440764: 'tench',
  n02102040: 'English springer',
  n02979186: 'cassette player',
  n03000684: 'chain saw',
  n03028079: 'church',
  n03394916: 'French horn',
  n03417042: 'garbage truck',
  n03425413: 'gas pump',
  n03445777: 'golf ball',
  n03888257: 'parachute',
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0
  for (const path of await readdir(folder, { recursive: true })) {
    const { size } = await stat(join(folder, path))
    bytes += size
  }
  return bytes
}

await runCommand(main)
