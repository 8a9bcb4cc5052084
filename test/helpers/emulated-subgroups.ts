/** Subgroups of an adapter that is imitated. */
export interface Lanes {
  readonly least: number
  readonly most: number
  /** False for an adapter on which kernels cannot choose the width. Default true */
  readonly control?: boolean
}

/**
 * WebGPU whose adapter has subgroups of another width than that of the machine: kernels of which a workgroup is one subgroup
 * exchange values through workgroup memory instead. A kernel that leaves a varying width to the driver is refused.
 */
export function emulatedSubgroups(gpu: GPU, { least, most, control = true }: Lanes): GPU {
  const requestAdapter: GPU['requestAdapter'] = async (options) => {
    const adapter = await gpu.requestAdapter(options)
    if (!adapter) return adapter
    const kept = [...adapter.features].filter((name) => !/^(chromium-)?(experimental-)?subgroup/.test(name))
    const features = new Set([...kept, 'subgroups', ...(control ? ['subgroup-size-control'] : [])])
    const requestDevice = async (wanted: GPUDeviceDescriptor = {}): Promise<GPUDevice> => {
      const real = [...(wanted.requiredFeatures ?? [])].filter((name) => kept.includes(name))
      const device = await adapter.requestDevice({ ...wanted, requiredFeatures: real })
      const createShaderModule = device.createShaderModule.bind(device)
      device.createShaderModule = (descriptor) =>
        createShaderModule({ ...descriptor, code: withoutSubgroups(descriptor.code, least !== most) })
      Object.defineProperty(device, 'features', { value: new Set([...device.features, ...features]) })
      return device
    }
    const { vendor, architecture, device, isFallbackAdapter } = adapter.info
    const description = `subgroups of ${least} to ${most}`
    const info = { vendor, architecture, device, description, isFallbackAdapter }
    return {
      info: { ...info, subgroupMinSize: least, subgroupMaxSize: most },
      features,
      limits: adapter.limits,
      requestDevice,
    } as unknown as GPUAdapter
  }
  // Holds the real one, with which its devices would die.
  return { requestAdapter, gpu } as unknown as GPU
}

/** Functions in place of those of subgroups, for a workgroup that is one: uniform results are loaded as such. */
const FUNCTIONS = `
// Kernels name up to sixteen lanes, also in branches that narrower subgroups never take.
var<workgroup> vectors: array<array<vec4f, max(SUBGROUP, 16)>, 4>;
var<workgroup> words: array<u32, SUBGROUP>;
var<workgroup> result: u32;
var<private> ownLane: u32;
fn wordOf(value: u32, lane: u32) -> u32 {
  workgroupBarrier(); words[ownLane] = value; workgroupBarrier();
  return words[lane];
}
fn shareNumber(value: f32) {
  workgroupBarrier(); words[ownLane] = bitcast<u32>(value); workgroupBarrier();
}
fn sharedNumber(lane: u32) -> f32 { return bitcast<f32>(words[lane]); }
fn largest(value: u32) -> u32 {
  let first = wordOf(value, 0u);
  if (ownLane == 0u) { result = first; for (var i = 1u; i < SUBGROUP; i++) { result = max(result, words[i]); } }
  return workgroupUniformLoad(&result);
}
fn smallest(value: u32) -> u32 { return ~largest(~value); }
fn anyOf(value: bool) -> bool { return largest(u32(value)) == 1u; }
fn firstOf(value: u32) -> u32 {
  let first = wordOf(value, 0u);
  if (ownLane == 0u) { result = first; }
  return workgroupUniformLoad(&result);
}
`

const shareRows = [...'abcd'].map((row, i) => `vectors[${i}][ownLane] = rows.${row};`).join(' ')

function withoutSubgroups(code: string, varying: boolean): string {
  if (!/\bsubgroup[A-Z]/.test(code)) return code
  if (varying !== code.includes('@workgroup_size(SUBGROUP) @subgroup_size(SUBGROUP)')) {
    throw new Error(`a kernel ${varying ? 'leaves the width of its subgroups open' : 'asks for a width that all have'}`)
  }
  return (
    code
      .replaceAll(/^enable subgroup.*;$/gm, '')
      .replace('@subgroup_size(SUBGROUP)', '')
      // What a function broadcasts is shared at its begin, since each barrier takes a software adapter long to compile.
      .replace(/(fn addStep\(.*\{)/, `$1 workgroupBarrier(); ${shareRows} workgroupBarrier();`)
      .replaceAll(/subgroupBroadcast\(rows\.([abcd]), (\w+)\)/g, (_, row: string, lane: string) => {
        return `vectors[${'abcd'.indexOf(row)}][${lane}]`
      })
      .replaceAll(/(fn lanes\d+\(value: f32\) -> vec4f \{)/g, '$1 shareNumber(value);')
      .replaceAll('subgroupBroadcast(value, ', 'sharedNumber(')
      .replaceAll('subgroupBroadcastFirst(', 'firstOf(')
      .replaceAll('subgroupShuffle(', 'wordOf(')
      .replaceAll('subgroupAny(', 'anyOf(')
      .replaceAll('subgroupMax(', 'largest(')
      .replaceAll('subgroupMin(', 'smallest(')
      .replace(/subgroup_invocation_id(\) lane: u32\) \{)/, 'local_invocation_index$1 ownLane = lane;') + FUNCTIONS
  )
}
