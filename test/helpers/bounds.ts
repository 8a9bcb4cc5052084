import type { Gpu } from '../../src/gpu/device.ts'
import { BUFFER_USAGE, SHADER_STAGE } from '../../src/gpu/flags.ts'

/** Most arrays of all kernels that are watched. */
const MOST = 4096
/** Bind group of the counts, behind those of buffers and sizes. */
const PLACE = 2

/**
 * Watches the indices of every kernel that a GPU compiles from now on, if its sizes are a uniform. One beyond a buffer or beyond an
 * array of a workgroup may show nowhere else: Mesa's software adapter reads zeros there and writes nothing, where a GPU without
 * robustness takes what memory holds.
 *
 * @returns a function that returns the arrays with such indices since its last call, with their number: `cast/to-f16 x: 3`
 */
export function watchBounds({ device, queue }: Gpu): () => Promise<readonly string[]> {
  const counts = device.createBuffer({
    size: 4 * MOST,
    usage: BUFFER_USAGE.STORAGE | BUFFER_USAGE.COPY_SRC | BUFFER_USAGE.COPY_DST,
  })
  const layout = device.createBindGroupLayout({
    entries: [{ binding: 0, visibility: SHADER_STAGE.COMPUTE, buffer: { type: 'storage' } }],
  })
  const group = device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer: counts } }] })
  const names: string[] = []
  const createModule = device.createShaderModule.bind(device)
  const createLayout = device.createPipelineLayout.bind(device)
  const createEncoder = device.createCommandEncoder.bind(device)
  device.createShaderModule = (given) => {
    const number = (array: string) => names.push(`${given.label} ${array}`) - 1
    return createModule(hasSizes(given.code) ? { ...given, code: withChecks(given.code, number) } : given)
  }
  device.createPipelineLayout = (given) => {
    const layouts = [...given.bindGroupLayouts]
    return createLayout(layouts.length === PLACE ? { bindGroupLayouts: [...layouts, layout] } : given)
  }
  device.createCommandEncoder = (given) => {
    const encoder = createEncoder(given)
    const begin = encoder.beginComputePass.bind(encoder)
    encoder.beginComputePass = (descriptor) => {
      const pass = begin(descriptor)
      pass.setBindGroup(PLACE, group)
      return pass
    }
    return encoder
  }
  return async () => {
    await queue.finished()
    const copy = device.createBuffer({ size: counts.size, usage: BUFFER_USAGE.MAP_READ | BUFFER_USAGE.COPY_DST })
    const encoder = createEncoder()
    encoder.copyBufferToBuffer(counts, 0, copy, 0, counts.size)
    encoder.clearBuffer(counts)
    device.queue.submit([encoder.finish()])
    await copy.mapAsync(1)
    const found = new Uint32Array(copy.getMappedRange())
    return names.flatMap((name, i) => (found[i] > 0 ? [`${name}: ${found[i]}`] : []))
  }
}

const hasSizes = (code: string): boolean => code.includes('@group(1)')

/** Returns WGSL in which every index of an array of a buffer or a workgroup is compared with its length. */
function withChecks(code: string, number: (array: string) => number): string {
  const buffers = [...code.matchAll(/var<storage, \w+> (\w+): array<\w+>;/g)].map(([, name]) => [
    name,
    `arrayLength(&${name})`,
  ])
  const shared = [...code.matchAll(/var<workgroup> (\w+): array<\w+, (.+)>;/g)].map(([, name, length]) => [
    name,
    length,
  ])
  const arrays = [...buffers, ...shared]
  const checked = arrays.reduce((text, [name]) => withCheck(text, name), code)
  const functions = arrays.map(
    ([name, length]) =>
      `fn within_${name}(i: u32) -> u32 { if (i >= ${length}) { atomicAdd(&beyond[${number(name)}u], 1u); } return i; }`,
  )
  return [
    checked,
    `@group(${PLACE}) @binding(0) var<storage, read_write> beyond: array<atomic<u32>>;`,
    ...functions,
  ].join('\n')
}

/** Returns WGSL in which `name[index]` is `name[within_name(index)]`. */
function withCheck(text: string, name: string): string {
  const opens = [...text.matchAll(new RegExp(`(?<![\\w.&])${name}\\[`, 'g'))].map(
    ({ 0: found, index }) => index + found.length,
  )
  let result = text
  // From the last one on, so that the places of the others stay.
  for (const open of opens.reverse()) {
    let depth = 1
    let end = open
    while (depth > 0) depth += { '[': 1, ']': -1 }[result[end++]] ?? 0
    result = `${result.slice(0, open)}within_${name}(${result.slice(open, end - 1)})${result.slice(end - 1)}`
  }
  return result
}
