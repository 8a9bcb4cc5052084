import { describe, expect, test } from 'vitest'
import { DtypeError, ShaderError, ShapeError } from '../../src/base/errors.ts'
import { registerShader } from '../../src/gpu/register-shader.ts'
import '../../src/gpu/wgsl/all.ts'
import { Parameter } from '../../src/nn/parameter.ts'
import { add } from '../../src/ops/add.ts'
import { relu } from '../../src/ops/relu.ts'
import { sum } from '../../src/ops/sum.ts'
import { backward } from '../../src/tensor/backward.ts'
import { elementwise, empty, launch } from '../../src/tensor/launch.ts'
import { defineOp } from '../../src/tensor/op.ts'
import { scope } from '../../src/tensor/scope.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { openTestGpu } from '../helpers/gpu.ts'

const gpu = await openTestGpu()

/** An operation of a user's, who forgot that launches have a type; or gave it. */
const unit = (dtype?: 'f32' | 'f16') =>
  defineOp<readonly [Tensor], undefined, undefined>({
    name: 'unit',
    plan: () => undefined,
    forward(_plan, [x]) {
      const y = empty(x)
      const { groups, shape } = elementwise(y)
      launch('relu/forward', { x, y }, { groups, shape, ...(dtype && { dtype }) })
      return y
    },
    backward: (_plan, dy) => [dy],
  })

test('a kernel launched for f32 takes no f16 tensors, and the other way round', async () => {
  expect([...(await read(unit()([tensor([-1, 2], [2])], undefined)))]).toEqual([0, 2])
  expect([...(await read(unit('f16')([tensor([-1, 2], [2], 'f16')], undefined)))]).toEqual([0, 2])
  expect(() => unit()([tensor([-1, 2], [2], 'f16')], undefined)).toThrowErrorMatchingInlineSnapshot(`
    [DtypeError: relu/forward: x has the wrong type
      x                    [2] f16
      dtype of the launch  f32
      expected f32, the dtype of the launch
      Fix: launch with the dtype of the tensors, such as that of elementwise(tensor), or cast the tensor]
  `)
  expect(() => unit('f16')([tensor([-1, 2], [2])], undefined)).toThrow(DtypeError)
})

test('what a shader declares as f32 or u32 has to be that', () => {
  const total = zeros([4])
  expect(() => launch('add/accumulate', { x: zeros([4], 'f16'), total }, elementwise(total)))
    .toThrowErrorMatchingInlineSnapshot(`
    [DtypeError: add/accumulate: x has the wrong type
      x                    [4] f16
      dtype of the launch  f32
      expected f32, whatever the dtype of the launch
      Fix: cast the tensor]
  `)
  const places = { dy: zeros([1, 1, 1, 4]), places: zeros([1, 1, 1, 1]), dx: zeros([1, 1, 1, 4]) }
  const constants = { LANES: 8, ROWS: 1, STRIDE: 1, PAD: 0 }
  const launchPlaces = () =>
    launch('max-pool/backward', places, {
      groups: [1, 1, 1],
      constants,
      shape: { H: 1, W: 1, P: 1, Q: 1, VECTORS: 1, WINDOW: 1 },
    })
  expect(launchPlaces).toThrow('places has the wrong type')
})

/** An operation whose result is twice its input, with some of its functions replaced. */
const twice = (parts: object) =>
  defineOp<readonly [Tensor], undefined, undefined>({
    name: 'twice',
    plan: () => undefined,
    forward: (_plan, [x]) => add(x, x),
    backward: (_plan, dy) => [add(dy, dy)],
    ...parts,
  })

/** The gradient of 1 · sum(op(x)) where it arrives. */
async function gradientThrough(parts: object): Promise<number[] | undefined> {
  const p = new Parameter('p', [3], 'weight', () => [1, 2, 3])
  scope(() => backward(sum(twice(parts)([relu(p.value)], undefined)), tensor([1], [])))
  return p.leaf.gradient && [...(await read(p.leaf.gradient))]
}

test('an operation of other operations has its own gradient, and its own place on the tape', async () => {
  expect(await gradientThrough({})).toEqual([2, 2, 2])
  const x = relu(new Parameter('p', [3], 'weight', () => [1, 2, 3]).value)
  const y = twice({})([x], undefined)
  expect(y.node?.name).toBe('twice')
  // Once as the input of this operation; those within hold nothing.
  expect(x.storage.holds).toBe(2)
  // What hands its input on leaves the tape before it as it is.
  const same = { forward: (_plan: undefined, [given]: readonly [Tensor]) => given }
  expect(await gradientThrough({ ...same, backward: (_plan: undefined, dy: Tensor) => [dy] })).toEqual([1, 1, 1])
})

test('an operation whose functions return something else says so', async () => {
  const dy = (_plan: undefined, gradient: Tensor) => gradient
  await expect(gradientThrough({ backward: dy })).rejects.toThrowErrorMatchingInlineSnapshot(`
    [OptionError: twice: the result of backward is not of the right kind
      the result of backward  of class Tensor
      expected a list of tensors, one for each input, in their order]
  `)
  await expect(gradientThrough({ backward: () => [] })).rejects.toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: twice: backward did not return a gradient in the shape of input 1
      input     [3] f32
      gradient  none
      expected a list with one gradient for each input, in their order]
  `)
  for (const backward of [() => undefined, () => [1], async () => Promise.reject(new Error('late'))]) {
    await expect(gradientThrough({ backward })).rejects.toThrow(
      'twice: the result of backward is not of the right kind',
    )
  }
  await expect(gradientThrough({ backward: () => [tensor([1, 2], [2])] })).rejects.toThrow(ShapeError)
  // A gradient that is left out on purpose ends there.
  expect(await gradientThrough({ backward: () => [undefined] })).toBeUndefined()
  for (const forward of [() => undefined, () => ({ output: 1 }), async () => Promise.reject(new Error('late'))]) {
    await expect(gradientThrough({ forward })).rejects.toThrow('twice: the result of forward is not of the right kind')
  }
})

test('a launch that the device would refuse is refused before, and the GPU goes on', async () => {
  const double = registerShader(
    'launch-test/double',
    `// @shape COUNT
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) { if (i < shape.COUNT) { y[i] = 2.0 * x[i]; } }`,
  )
  const [x, y] = [tensor([1, 2, 3, 4], [4]), zeros([4])]
  const of = (COUNT: number) => ({ groups: 1, shape: { COUNT } })
  expect(() => launch(double, { x, y: x }, of(4))).toThrowErrorMatchingInlineSnapshot(`
    [ShaderError: launch-test/double: 'x' and 'y', which is written, are in one buffer
      Fix: give the result a tensor of its own: empty(…)]
  `)
  for (const count of [NaN, 2.5, -1]) {
    expect(() => launch(double, { x, y }, of(count))).toThrow('shape.COUNT is not a size')
  }
  launch(double, { x, y }, of(4))
  expect([...(await read(y))]).toEqual([2, 4, 6, 8])
})

describe('mistakes of a first shader', () => {
  const wgsl = `
    // @shape VECTORS
    // @const FACTOR:f32 COUNT:u32
    @group(0) @binding(0) var<storage, read> x: array<T4>;
    @group(0) @binding(1) var<storage, read_write> y: array<T4>;

    @compute @workgroup_size(64)
    fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
      let i = workgroupIndex(group) * 64u + thread;
      if (i < shape.VECTORS) { y[i] = store4(load4(x[i]) * FACTOR * f32(COUNT)); }
    }`
  /** Puts a loop that is marked to be written out before the store of `wgsl`. */
  const marked = (condition: string) => `{\nfor (var k = 0u; ${condition}; k++) { // @unroll\n}\ny[i]`
  let count = 0
  const register = (text: string) => registerShader(`mine/first-${++count}`, text)
  const shader = register(wgsl)

  test('a shader may be indented with the code around it', async () => {
    const [x, y] = [tensor([1, -2], [2]), zeros([2])]
    launch(shader, { x, y }, { ...elementwise(y), constants: { FACTOR: 3, COUNT: 2 } })
    expect([...(await read(y))]).toEqual([6, -12])
  })

  test.each([
    ['a header line misspelt', '@shape VECTORS', '@shapes VECTORS', "there is no header line '@shapes'"],
    ['sizes with commas', '@shape VECTORS', '@shape VECTORS, N', "'@shape VECTORS,' cannot be read"],
    ['a size named twice', '@shape VECTORS', '@shape VECTORS VECTORS', "'@shape VECTORS' cannot be read"],
    ['attributes in another order', '@group(0) @binding(0)', '@binding(0) @group(0)', 'a binding cannot be read'],
    ['a binding without access', 'var<storage, read>', 'var<storage>', 'a binding cannot be read'],
    ['a number given to two bindings', '@binding(1)', '@binding(0)', 'declared twice'],
    ['a header line with a colon', '@shape VECTORS', '@shape: VECTORS', "there is no header line '@shape:'"],
    ['a constant named twice', 'COUNT:u32', 'COUNT:u32 COUNT:u32', "'@const COUNT' is declared twice"],
    ['a directive', '@group(0)', 'enable f16;\n@group(0)', 'Fix: write the header line // @enable f16'],
    ['sizes without their header line', '@shape VECTORS', '', 'Fix: write the header line // @shape VECTORS'],
    ['a size that is not declared', '// @shape VECTORS', '// @shape N', 'shape.VECTORS is read and not declared'],
    [
      'a size that a library file reads',
      '@shape',
      '@use lib/blocks\n// @shape',
      'write the header line // @shape VECTORS TURNS',
    ],
    ['a kernel of another name', 'fn main(', 'fn swish(', 'has no entry point'],
    ['a marked loop of a size', '{ y[i]', marked('k < shape.VECTORS'), "'shape' is not a constant, so its loop"],
    ['a marked loop of a variable', '{ y[i]', marked('k < i'), "'i' is not a constant, so its loop"],
    ['a marked loop of another form', '{ y[i]', marked('k <= COUNT'), "cannot unroll 'for (var k = 0u; k <= COUNT"],
    ['another word for everywhere', '@shape', '@unroll all\n// @shape', "'// @unroll all' cannot be read"],
    ['another directive', '@group(0)', 'diagnostic(off, subgroup_uniformity);\n@group(0)', 'Fix: leave it out'],
  ])('%s is refused where it is registered', (_mistake, right, wrong, message) => {
    const register = () => registerShader('mine/refused', wgsl.replace(right, wrong))
    expect(register).toThrow(ShaderError)
    expect(register).toThrow(/^shader mine\/refused: /)
    expect(register).toThrow(message)
  })

  test('halves are bound as halves, in arrays of vectors too', async () => {
    const doubled = (element: string, enable: string) =>
      register(`// @shape VECTORS
${enable}
@group(0) @binding(0) var<storage, read> x: array<${element}>;
@group(0) @binding(1) var<storage, read_write> y: array<${element}>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) { if (i < shape.VECTORS) { y[i] = x[i] + x[i]; } }`)
    const run = async (dtype: 'f32' | 'f16' | 'u32', element: string, enable = '') => {
      const x = tensor([1, 2, 3], [3], dtype)
      const y = zeros([3], dtype)
      launch(doubled(element, enable), { x, y }, { groups: 1, shape: { VECTORS: 1 } })
      return [...(await read(y))]
    }
    await expect(run('f32', 'vec4<f32>')).resolves.toEqual([2, 4, 6])
    for (const element of ['vec4h', 'vec4<f16>', 'f16']) {
      await expect(run('f32', element)).rejects.toThrow('expected f16, whatever the dtype of the launch')
    }
    await expect(run('u32', 'vec4<f32>')).rejects.toThrow('expected f32, whatever the dtype of the launch')
    if (!gpu.features.has('shader-f16')) return
    await expect(run('f16', 'vec4h', '// @enable f16')).resolves.toEqual([2, 4, 6])
    await expect(run('f16', 'vec4<f16>', '// @enable f16')).resolves.toEqual([2, 4, 6])
  })

  test('bindings that are no tensors and options that are none are refused by name', () => {
    const y = zeros([4])
    const shader = register(wgsl)
    const options = { ...elementwise(y), constants: { FACTOR: 2, COUNT: 1 } }
    expect(() => launch(shader, { x: [1, 2] as never, y }, options)).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: mine/first-9: x is not of the right kind
        x  a list: [1, 2]
        expected a tensor, such as tensor(data, shape)]
    `)
    expect(() => launch(shader, { x: y, y }, undefined as never)).toThrow('options must be given by name')
  })

  test('a marked loop may count to what the prelude and the shader declare', () => {
    const bound = 'const HALF = COUNT / 2u;\n@group(0) @binding(0)'
    register(wgsl.replace('@group(0) @binding(0)', bound).replace('{ y[i]', marked('k < HALF * (SUBGROUP + PAIRS)')))
  })

  test('a comment about other attributes is no header line', () => {
    register(`// @group(1) @binding(0) var<uniform> old: vec4f;\n// @param x\n${wgsl}`)
  })

  test('a missing text is refused', () => {
    expect(() => register(undefined as never)).toThrow('registerShader: text is not of the right kind')
  })

  const right = { groups: 1, shape: { VECTORS: 1 }, constants: { FACTOR: 2, COUNT: 1 } }
  test.each([
    [{ shape: { VECTORS: NaN } }, 'shape.VECTORS is not a size'],
    [{ shape: { VECTORS: 1.5 } }, 'shape.VECTORS is not a size'],
    [{ shape: { VECTORS: -1 } }, 'shape.VECTORS is not a size'],
    [{ shape: { VECTORS: 2 ** 32 } }, 'shape.VECTORS is not a size'],
    [{ constants: { FACTOR: NaN, COUNT: 1 } }, 'FACTOR is not a number of f32'],
    [{ constants: { FACTOR: 1e39, COUNT: 1 } }, 'FACTOR is not a number of f32'],
    [{ constants: { FACTOR: 'two' as never, COUNT: 1 } }, 'FACTOR is not a number of f32'],
    [{ constants: { FACTOR: 2, COUNT: 1.5 } }, 'COUNT is not a number of u32'],
    [{ constants: { FACTOR: 2, COUNT: -1 } }, 'COUNT is not a number of u32'],
    [{ groups: undefined as never }, 'the grid does not fit a dispatch'],
    [{ groups: '1' as never }, 'the grid does not fit a dispatch'],
    [{ groups: [1, 1] as never }, 'the grid does not fit a dispatch'],
  ])('a launch with %o is refused, and the GPU goes on', async (wrong, message) => {
    const [x, y] = [tensor([1, 2], [2]), zeros([2])]
    expect(() => launch(shader, { x, y }, { ...right, ...wrong })).toThrow(ShaderError)
    expect(() => launch(shader, { x, y }, { ...right, ...wrong })).toThrow(message)
    launch(shader, { x, y }, right)
    expect([...(await read(y))]).toEqual([2, 4])
    gpu.check()
  })

  test('a tensor that is read and written is refused, and the GPU goes on', async () => {
    const x = tensor([1, 2], [2])
    expect(() => launch(shader, { x, y: x }, right)).toThrow("'x' and 'y', which is written, are in one buffer")
    expect(() => launch(shader, { x: undefined as never, y: x }, right)).toThrow("no buffer for 'x'")
    expect([...(await read(x))]).toEqual([1, 2])
  })
})
