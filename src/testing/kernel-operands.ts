import { rng } from '../base/rng.ts'
import { currentGpu } from '../gpu/device.ts'
import { DTYPE_BYTES, type Dtype } from '../tensor/dtype.ts'
import { halfToFloat, roundToHalf } from '../tensor/half.ts'
import { clear, empty } from '../tensor/launch.ts'
import { release } from '../tensor/scope.ts'
import { elementCount, storedBytes, storedLastAxis, type Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { read, tensor } from '../tensor/read-write.ts'

/** Operand of a kernel: the tensor on the GPU, and its elements for the sums on the CPU. */
export interface KernelOperand {
  readonly tensor: Tensor
  /** Returns element number i in row-major order. */
  at(i: number): number
}

/**
 * Period of the random numbers: generating hundreds of millions would take longer than timing the kernels that read
 * them. It is four times a prime, so that no row, image or tile of a network has that length.
 */
const PERIOD = 4 * 16381

const periods = new Map<string, Float32Array>()

/** Returns one period of numbers uniform in ±1, rounded to the type. */
function period(name: string, dtype: 'f32' | 'f16'): Float32Array {
  const key = `${name} ${dtype}`
  const known = periods.get(key)
  if (known) return known
  const random = rng(0, `bench ${name}`)
  const made = Float32Array.from({ length: PERIOD }, () => rounded(random.uniform(-1, 1), dtype))
  periods.set(key, made)
  return made
}

function rounded(value: number, dtype: 'f32' | 'f16'): number {
  return dtype === 'f16' ? roundToHalf(value) : Math.fround(value)
}

/** Tensors of one case, released together. */
export class KernelOperands {
  private readonly made: Tensor[] = []
  private readonly endings: (() => void)[] = []

  /** Makes an operand of random numbers, which differ by name; `change` maps each of them. */
  random(name: string, shape: Shape, dtype: 'f32' | 'f16', change?: (value: number) => number): KernelOperand {
    const source = period(name, dtype)
    const numbers = change === undefined ? source : source.map((value) => rounded(change(value), dtype))
    const at = (i: number) => numbers[i % PERIOD]
    const padded = storedLastAxis({ shape, dtype }) !== (shape.at(-1) ?? 1)
    const count = elementCount(shape)
    if (padded || count <= PERIOD) {
      return {
        tensor: this.own(
          tensor(
            Float32Array.from({ length: count }, (_, i) => at(i)),
            shape,
            dtype,
          ),
        ),
        at,
      }
    }
    const block = tensor(numbers, [PERIOD], dtype)
    const blockBytes = PERIOD * DTYPE_BYTES[dtype]
    const whole = this.own(empty({ shape, dtype }, name))
    const { buffer, offset, size } = whole.view
    for (let done = 0; done < size; done += blockBytes) {
      const part = Math.min(blockBytes, size - done)
      currentGpu().queue.copy({ ...block.view, size: part }, { buffer, offset: offset + done, size: part })
    }
    release(block)
    return { tensor: whole, at }
  }

  /** Makes an operand of integers below a limit. */
  labels(name: string, count: number, limit: number): KernelOperand {
    const random = rng(0, `bench ${name}`)
    const numbers = Uint32Array.from({ length: count }, () => random.integer(0, limit - 1))
    return { tensor: this.own(tensor(numbers, [count], 'u32')), at: (i) => numbers[i] }
  }

  /** Makes a tensor of zeros that a kernel writes to. */
  result(shape: Shape, dtype: Dtype): Tensor {
    const made = this.own(empty({ shape, dtype }))
    clear(made)
    return made
  }

  /** Registers a tensor for release with the others. */
  own(made: Tensor): Tensor {
    this.made.push(made)
    return made
  }

  /** Registers a function that runs at the end. */
  after(ending: () => void): void {
    this.endings.push(ending)
  }

  close(): void {
    for (const ending of this.endings) ending()
    for (const made of this.made) release(made)
  }
}

/** Returns the stored bytes of tensors, the least that must be transferred. */
export function bytesOf(...tensors: readonly Tensor[]): number {
  return tensors.reduce((sum, one) => sum + storedBytes(one), 0)
}

/** Reads individual elements of a tensor at row-major positions. */
export async function readElements(source: Tensor, places: readonly number[]): Promise<readonly number[]> {
  const last = source.shape.at(-1) ?? 1
  const row = storedLastAxis(source)
  const bytes = DTYPE_BYTES[source.dtype]
  const starts = places.map((place) => (Math.floor(place / last) * row + (place % last)) * bytes)
  const words = empty({ shape: [places.length], dtype: 'u32' }, 'elements')
  const gathered = words.view
  const { queue } = currentGpu()
  starts.forEach((start, i) => {
    const from = { ...source.view, offset: source.view.offset + start - (start % 4), size: 4 }
    queue.copy(from, { ...gathered, offset: gathered.offset + 4 * i, size: 4 })
  })
  const found = await read(words)
  release(words)
  const bits = new Uint32Array(found.buffer, found.byteOffset, found.length)
  if (source.dtype === 'f16') return starts.map((start, i) => halfToFloat((bits[i] >>> (8 * (start % 4))) & 0xffff))
  return Array.from(source.dtype === 'f32' ? new Float32Array(bits.buffer, bits.byteOffset, bits.length) : bits)
}
