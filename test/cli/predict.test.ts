import { execFile } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import jpeg from 'jpeg-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { imagenetStats, normalize } from '../../src/data/augment/normalize.ts'
import { xresnet18 } from '../../src/nn/xresnet.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import { Learner } from '../../src/train/learner.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { stripes, tinyLoaders } from '../helpers/tiny.ts'

await openTestGpu()

const run = promisify(execFile)
const command = fileURLToPath(new URL('../../dist/src/cli/wgrad.js', import.meta.url))

/** Tests of the built command `wgrad predict`; `npm test` builds first. */
describe('the command predict', () => {
  let folder = ''
  const wgrad = (...args: string[]) =>
    run(process.execPath, [command, ...args], { cwd: folder }).catch(
      (failed: { stdout: string; stderr: string }) => failed,
    )
  const predict = (...args: string[]) => wgrad('predict', ...args)

  beforeAll(async () => {
    if (!existsSync(command)) throw new Error('dist/ is not there, or old: run `npm run build`, as `npm test` does')
    folder = mkdtempSync(join(tmpdir(), 'wgrad-predict-'))
    const platform = fakePlatform({ picture: (path) => stripes(path, 32), files: nodePlatform.files })
    const loaders = await tinyLoaders({ platform, batchTransforms: [normalize(imagenetStats)] })
    await new Learner(loaders, xresnet18({ outputs: 3 })).export(join(folder, 'model.safetensors'))
    const image = { width: 40, height: 30, data: Buffer.alloc(40 * 30 * 4, 200) }
    writeFileSync(join(folder, 'grey.jpg'), jpeg.encode(image, 90).data)
    writeFileSync(join(folder, 'text.jpg'), 'no picture')
  })

  afterAll(() => {
    if (folder) rmSync(folder, { recursive: true })
  })

  test('names what is on image files, and those that are none', async () => {
    const { stdout, stderr } = await predict('model.safetensors', 'grey.jpg', 'text.jpg', '--top', '2')
    expect(stdout).toMatch(/^grey\.jpg  (across|slanted|upright) \d+\.\d%, (across|slanted|upright) \d+\.\d%\n$/)
    expect(stderr).toContain('DecodeError: text.jpg: not an image')
  })

  test('--json names the classes of Imagenette alike in its list of labels and of each image', async () => {
    const platform = fakePlatform({ picture: () => stripes('across/1.jpg', 32), files: nodePlatform.files })
    const item = (i: number) => `set/${['n01440764', 'n02102040'][i % 2]}/${i}.png`
    const loaders = await tinyLoaders({ platform, item, batchTransforms: [normalize(imagenetStats)] })
    await new Learner(loaders, xresnet18({ outputs: 2, widen: 0.25 })).export(join(folder, 'imagenette.safetensors'))
    const { labels, images } = JSON.parse((await predict('imagenette.safetensors', 'grey.jpg', '--json')).stdout) as {
      labels: string[]
      images: { label: string }[]
    }
    expect(labels).toEqual(['tench', 'English springer'])
    expect(labels).toContain(images[0].label)
  })

  test('--json prints one document and nothing else, also of a folder; a file that cannot be read is exit code 3', async () => {
    // Lines about the folder go elsewhere.
    mkdirSync(join(folder, 'without images'))
    const failed = await predict('model.safetensors', '.', 'text.jpg', '--json')
    expect(failed.stderr).toContain('no image in without images, left out')
    const document = JSON.parse(failed.stdout) as {
      labels: string[]
      images: { file: string; label: string; probability: number; top: { probability: number }[] }[]
      errors: { file: string; message: string }[]
    }
    expect(failed).toMatchObject({ code: 3 })
    expect(document.labels).toEqual(['across', 'slanted', 'upright'])
    // text.jpg is an image by its name, so that the folder lists it too.
    expect(document.errors.map(({ file }) => file)).toEqual(['text.jpg', 'text.jpg'])
    expect(document.images.map(({ file }) => file)).toEqual(['grey.jpg'])
    const [{ label, probability, top }] = document.images
    expect(document.labels).toContain(label)
    expect(top).toHaveLength(3)
    expect(top[0].probability).toBe(probability)
    expect(top.reduce((sum, one) => sum + one.probability, 0)).toBeCloseTo(1, 5)
  })

  test('says "none of these" of an image below the threshold, null in JSON and nothing in CSV', async () => {
    const strict = (...args: string[]) => predict('model.safetensors', 'grey.jpg', '--threshold', '1', ...args)
    expect((await strict()).stdout).toMatch(/^grey\.jpg  none of these \((across|slanted|upright) \d/)
    expect((await strict('--csv')).stdout).toMatch(/^file,label,probability\ngrey\.jpg,,0\.\d+\n$/)
    expect(JSON.parse((await strict('--json')).stdout)).toMatchObject({ images: [{ label: null }] })
  })

  test('says what is missing or wrong in one message', async () => {
    for (const [args, message] of [
      [[], 'OptionError: predict: a model and image files are needed'],
      [['grey.jpg', 'grey.jpg'], 'DataError: grey.jpg: not a safetensors file'],
      [['without images', 'grey.jpg'], 'DataError: without images: there is no model.safetensors in this folder'],
      [['model.safetensors', 'grey.jpg', '--top', 'x'], "OptionError: --top: 'x' is out of range"],
      [['model.safetensors', 'grey.jpg', '--top', '2', '--csv'], 'OptionError: --top: a table of --csv has no list'],
    ] as const) {
      const { stderr } = await predict(...args)
      expect(stderr).toContain(message)
      expect(stderr).not.toContain('    at ')
    }
    expect((await predict('--help')).stdout).toContain('MODEL FILE')
  })

  test('evaluate names the classes of Imagenette as predict does, in words and in its document', async () => {
    for (const label of ['n01440764', 'n02102040']) {
      mkdirSync(join(folder, 'fish-and-dogs', label), { recursive: true })
      for (const name of ['1.jpg', '2.jpg']) {
        copyFileSync(join(folder, 'grey.jpg'), join(folder, 'fish-and-dogs', label, name))
      }
    }
    mkdirSync(join(folder, 'fish-and-dogs', 'cats'))
    const said = await wgrad('evaluate', 'imagenette.safetensors', 'fish-and-dogs')
    expect(said.stdout.split('no image in')).toHaveLength(2)
    expect(said.stdout).toMatch(/^English springer +\d/m)
    const json = await wgrad('evaluate', 'imagenette.safetensors', 'fish-and-dogs', '--json')
    const document = JSON.parse(json.stdout) as { mostWrong: { file: string; actual: string; predicted: string }[] }
    expect(document).toMatchObject({
      perClass: [{ name: 'tench' }, { name: 'English springer' }],
      confusion: { classes: ['tench', 'English springer'] },
    })
    // The same picture in both folders is right in one of them.
    const isFish = document.mostWrong[0].file.includes('n01440764')
    const [actual, predicted] = isFish ? ['tench', 'English springer'] : ['English springer', 'tench']
    const files = ['1.jpg', '2.jpg'].map((name) => join('fish-and-dogs', isFish ? 'n01440764' : 'n02102040', name))
    expect(document.mostWrong).toMatchObject(files.map((file) => ({ file, actual, predicted })))
    for (const file of files) {
      expect(said.stdout).toMatch(new RegExp(`^  ${file}  ${predicted} \\d+\\.\\d%, is ${actual}$`, 'm'))
    }
  })
})
