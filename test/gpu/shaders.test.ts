import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { specialise } from '../../src/gpu/prelude.ts'
import { registerShader } from '../../src/gpu/register-shader.ts'
import { shaderSource } from '../../src/gpu/shader-source.ts'
import '../../src/gpu/wgsl/all.ts'
import { BUILT_IN_SHADERS as names } from '../../src/gpu/wgsl/names.ts'
import { createGpu } from '../../src/platform/node/gpu.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { shaderSample } from '../helpers/shader-sample.ts'

/** The device features behind WGSL's `enable`. */
const FEATURES: Readonly<Record<string, string>> = {
  f16: 'shader-f16',
  subgroups: 'subgroups',
  subgroup_size_control: 'subgroup-size-control',
  chromium_experimental_subgroup_matrix: 'chromium-experimental-subgroup-matrix',
}

const gpu = await openTestGpu()
/** Dawn's own adapter: it checks everything and runs nothing, and has every feature and the matrices of the samples. */
const checker = await openChecker()

describe.each(names)('%s', (name) => {
  const source = shaderSource(name)
  const file = fileURLToPath(new URL(`../../shaders/${name}.wgsl`, import.meta.url))
  const sample = shaderSample(name)
  const ofMatrices = source.enables.includes('chromium_experimental_subgroup_matrix')
  const device =
    !ofMatrices && source.enables.every((extension) => gpu.features.has(FEATURES[extension])) ? gpu.device : checker

  describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
    test.each(['constant', 'uniform'] as const)('compiles with its sample, sizes %s', async (sizes) => {
      const numbers = Object.entries(sample).map(([key, value]) => [key, Number(value)])
      const { code } = specialise(name, source, {
        dtype,
        constants: Object.fromEntries(source.constants.map(([constant]) => [constant, sample[constant]])),
        shape: sizes === 'constant' ? Object.fromEntries(numbers) : undefined,
        subgroupSize: Math.max(1, gpu.subgroupSize),
      })
      device.pushErrorScope('validation')
      device.createComputePipeline({
        layout: 'auto',
        compute: { module: device.createShaderModule({ code }), entryPoint: 'main' },
      })
      expect((await device.popErrorScope())?.message).toBeUndefined()
    })
  })

  test('its sample is of what it declares', () => {
    const declared = [...source.constants.map(([constant]) => constant), ...source.shape]
    expect(Object.keys(sample).sort()).toEqual([...declared].sort())
  })

  test('all of its buffers were found', () => {
    expect(source.bindings.map(({ index }) => index)).toEqual(source.text.match(/@group\(0\)/g)?.map((_, i) => i))
  })

  test('begins with what it computes', () => {
    expect(readFileSync(file, 'utf8')).toMatch(/^\/\/ \S/)
  })
})

test('a copy of any shader is registered as one of a program', () => {
  for (const name of names) registerShader(`copy/${name}`, shaderSource(name).text)
})

test('every shader is launched by something', () => {
  const folder = fileURLToPath(new URL('../../src', import.meta.url))
  const library = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.startsWith('gpu/wgsl/'))
    .map((file) => readFileSync(`${folder}/${file}`, 'utf8'))
    .join('\n')
  expect(names.filter((name) => !library.includes(`'${name}'`))).toEqual([])
})

/** Modules whose shaders are loaded with their family (`shadersOfFamily`), or that only name one. */
const ELSEWHERE = ['gpu/chosen-grids.ts', 'ops/convolution/families.ts', 'tensor/overflow.ts']

test('a module that launches a shader imports it', () => {
  const src = fileURLToPath(new URL('../../src', import.meta.url))
  const missing = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.startsWith('gpu/wgsl/') && !ELSEWHERE.includes(file))
    .flatMap((file) => {
      const text = readFileSync(`${src}/${file}`, 'utf8')
      const has = (path: string) => text.includes(`/wgsl/${path}.ts'`)
      return names
        .filter((name) => text.includes(`'${name}'`) && !has(name) && !has(`${name.split('/')[0]}/index`))
        .map((name) => `${file} lacks an import of gpu/wgsl/${name}.ts or of gpu/wgsl/${name.split('/')[0]}/index.ts`)
    })
  expect(missing).toEqual([])
})

test('the table is that of the files', () => {
  const folder = fileURLToPath(new URL('../../shaders', import.meta.url))
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.wgsl') && !file.startsWith('lib'),
  )
  expect([...names].sort()).toEqual(files.map((file) => file.replace(/\.wgsl$/, '')).sort())
})

async function openChecker(): Promise<GPUDevice> {
  const adapter = await (await createGpu(['backend=null', 'enable-dawn-features=allow_unsafe_apis'])).requestAdapter()
  if (!adapter) throw new Error('Dawn has no null backend')
  const features = Object.values(FEATURES).filter((feature) => adapter.features.has(feature)) as GPUFeatureName[]
  return adapter.requestDevice({ requiredFeatures: features })
}

test('the library files that shaders/README.md names are there', () => {
  const folder = fileURLToPath(new URL('../../shaders/', import.meta.url))
  const text = readFileSync(`${folder}README.md`, 'utf8')
  const named = [...text.matchAll(/`(?:\/\/ @use )?lib\/([\w-]+)(?:\.wgsl)?`/g)].map(([, name]) => `${name}.wgsl`)
  expect(named.length).toBeGreaterThan(10)
  expect(readdirSync(`${folder}lib`)).toEqual(expect.arrayContaining(named))
})
