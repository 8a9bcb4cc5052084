import { describe, expect, test } from 'vitest'
import { BUFFER_USAGE, MAP_MODE } from '../../src/gpu/flags.ts'
import { ShaderError } from '../../src/base/errors.ts'
import { specialise } from '../../src/gpu/prelude.ts'
import { shaderSource } from '../../src/gpu/shader-source.ts'
import { keepRolled, unroll } from '../../src/gpu/unroll.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { shaderSample } from '../helpers/shader-sample.ts'
import '../../src/gpu/wgsl/all.ts'

const gpu = await openTestGpu()

describe('unroll', () => {
  test('writes a marked loop out, and leaves every line where it was', () => {
    const text = [
      'const TILE: u32 = 8u;',
      'const DOWN = TILE / (2u + 2u) + 1u;',
      'fn f() {',
      '  for (var i = 0u; i < DOWN; i++) { // @unroll',
      '    add(i); // a comment }',
      '  }',
      '  after();',
      '}',
    ]
    expect(unroll('test', text.join('\n')).split('\n')).toEqual([
      ...text.slice(0, 3),
      '  { const i = 0u;',
      '    add(i); // a comment }',
      '  } { const i = 1u; add(i); } { const i = 2u; add(i); }',
      ...text.slice(6),
    ])
  })

  test('writes loops within loops out, inner ones first', () => {
    const text = [
      'for (var k = 0u; k < 4u; k += STEP) { // @unroll',
      'for (var j = 0u; j < 2u; j++) { // @unroll',
      'f(k, j);',
      '}',
      '}',
      'const STEP = 2u;',
    ]
    const calls = unroll('test', text.join('\n')).replaceAll('\n', ' ')
    expect(calls.match(/const [jk] = \du|f\(k, j\)/g)).toEqual([
      'const k = 0u',
      'const j = 0u',
      'f(k, j)',
      'const j = 1u',
      'f(k, j)',
      'const k = 2u',
      'const j = 0u',
      'f(k, j)',
      'const j = 1u',
      'f(k, j)',
    ])
  })

  test('leaves nothing of a loop that never turns', () => {
    expect(unroll('test', 'a\nfor (var i = 0u; i < 0u; i++) { // @unroll\nf(i);\n}\nb')).toBe('a\n\n\n\nb')
  })

  test.each([
    ['for (var i = 1u; i < 4u; i++) { // @unroll', "cannot unroll 'for (var i = 1u"],
    ['for (var i = 0u; i < shape.N; i++) { // @unroll\n}', "'shape' is not a constant"],
    ['for (var i = 0u; i < MANY; i++) { // @unroll\n}', "'MANY' is not a constant"],
    ['for (var i = 0u; i < 2u; i++) { // @unroll', 'is never closed'],
    ['for (var i = 0u; i < 65u; i++) { // @unroll\n}', 'cannot unroll a loop of 65 turns'],
  ])('refuses %j', (text, message) => {
    expect(() => unroll('test', text)).toThrow(ShaderError)
    expect(() => unroll('test', text)).toThrow(message)
  })
})

test('keepRolled hides the bounds of marked loops, and of no others', () => {
  const text = [
    'for (var k = 0u; k < DOWN * 2u; k += STEP) { // @unroll',
    '  for (var i = 0u; i < DOWN; i++) {',
    '}',
    '}',
  ]
  expect(keepRolled(text.join('\n')).split('\n')).toEqual([
    'for (var k = 0u; k < counted(DOWN * 2u); k += STEP) { // @unroll',
    ...text.slice(1),
  ])
})

describe('an unrolled shader', () => {
  const special = { dtype: 'f16', subgroupSize: 32, emulateMatrices: true } as const
  const sample = shaderSample('conv2d/forward-matrix')
  const names = shaderSource('conv2d/forward-matrix').constants.map(([name]) => name)
  const constants = Object.fromEntries(names.map((name) => [name, sample[name]]))
  const shape = Object.fromEntries(
    shaderSource('conv2d/forward-matrix').shape.map((name) => [name, Number(sample[name])]),
  )

  test('compiles, and computes what it computes in loops', async () => {
    const { device } = gpu
    const inputs = [3 * 5 * 6 * 16 * 2, 24 * 9 * 16 * 2].map((bytes, seed) => {
      const halves = Uint16Array.from({ length: bytes / 2 }, (_, i) => 0x3000 + ((i * 7919 + seed * 31) % 0x0c00))
      // STORAGE | COPY_DST
      const buffer = device.createBuffer({ size: bytes, usage: BUFFER_USAGE.STORAGE | BUFFER_USAGE.COPY_DST })
      device.queue.writeBuffer(buffer, 0, halves)
      return buffer
    })
    const bytes = 3 * 3 * 3 * 24 * 2
    const results = []
    for (const inLoops of [true, false]) {
      const source = { ...shaderSource('conv2d/forward-matrix'), unrolled: !inLoops }
      const { code } = specialise('conv2d/forward-matrix', source, { ...special, constants, shape })
      expect(code.includes('for (var i = 0u; i < DOWN')).toBe(inLoops)
      expect(code.includes('< counted(ACROSS); j++')).toBe(inLoops)
      // STORAGE | COPY_SRC, and MAP_READ | COPY_DST
      const result = device.createBuffer({ size: bytes, usage: BUFFER_USAGE.STORAGE | BUFFER_USAGE.COPY_SRC })
      const staging = device.createBuffer({ size: bytes, usage: BUFFER_USAGE.MAP_READ | BUFFER_USAGE.COPY_DST })
      const pipeline = device.createComputePipeline({
        layout: 'auto',
        compute: { module: device.createShaderModule({ code }) },
      })
      const entries = [...inputs, result].map((buffer, binding) => ({ binding, resource: { buffer } }))
      const encoder = device.createCommandEncoder()
      const pass = encoder.beginComputePass()
      pass.setPipeline(pipeline)
      pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }))
      pass.dispatchWorkgroups(1)
      pass.end()
      encoder.copyBufferToBuffer(result, 0, staging, 0, bytes)
      device.queue.submit([encoder.finish()])
      await staging.mapAsync(MAP_MODE.READ)
      results.push(new Uint16Array(staging.getMappedRange().slice(0)))
    }
    expect(results[0].some((half) => half !== 0)).toBe(true)
    expect(results[1]).toEqual(results[0])
  })

  test('is rolled where matrices are emulated, and only there', () => {
    const textOf = (emulateMatrices: boolean, sizes: typeof shape | undefined) =>
      specialise('conv2d/forward-matrix', shaderSource('conv2d/forward-matrix'), {
        ...special,
        constants,
        shape: sizes,
        emulateMatrices,
      }).code
    for (const sizes of [shape, undefined]) {
      expect(textOf(true, sizes)).toContain('< counted(ACROSS); j++')
      expect(textOf(false, sizes)).not.toContain('counted')
    }
  })
})
