import type { Row } from '../kernels/harness.ts'
import type { StepRow } from '../steps/step.ts'

/** PyTorch's figures on the same GPU. */
export interface TorchBaseline {
  readonly device: string
  /** Returns the milliseconds of the same product or convolution pass, if it was measured. */
  kernelMs(row: Row): number | undefined
  /** Returns the images per second of the fastest training step of that kind. */
  imagesPerSecond(row: StepRow): number | undefined
}

interface Matmul {
  readonly kernel: 'matmul'
  readonly shape: readonly number[]
  readonly dtype: string
  readonly ms: number
}

interface Convolution {
  readonly kernel: 'conv2d'
  readonly n: number
  /** Input channels, input side, output channels, filter size, stride. */
  readonly shape: readonly number[]
  readonly forward_ms: number
  readonly dx_ms: number
  readonly dw_ms: number
}

interface Training {
  readonly train: string
  readonly batch: number
  readonly size: number
  readonly amp: boolean
  readonly imagesPerSecond: number
}

const DTYPES = { 'torch.float16': 'f16', 'torch.float32': 'f32' } as const
const TIMES = { forward: 'forward_ms', 'backward-input': 'dx_ms', 'backward-weight': 'dw_ms' } as const

/** Parses PyTorch's figures: JSON, one row per line (see bench/README.md). */
export function readTorch(text: string): TorchBaseline {
  const lines = text.split('\n').filter((line) => line.startsWith('{'))
  const rows = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  const times = new Map<string, number>()
  for (const row of rows) {
    if (row.kernel === 'matmul') {
      const { shape, dtype, ms } = row as unknown as Matmul
      times.set(`matmul ${shape.join('×')} ${DTYPES[dtype as keyof typeof DTYPES]}`, ms)
    }
    if (row.kernel !== 'conv2d') continue
    const { n, shape, ...convolution } = row as unknown as Convolution
    for (const [pass, time] of Object.entries(TIMES)) times.set(convolutionKey(pass, n, shape), convolution[time])
  }
  const trainings = rows.filter((row) => typeof row.train === 'string') as unknown as readonly Training[]
  const head = rows.find((row) => typeof row.torch === 'string') ?? {}
  return {
    device: `${String(head.device)}, PyTorch ${String(head.torch)}, CUDA ${String(head.cuda)}`,
    kernelMs: ({ name }) => times.get(keyOf(name) ?? name),
    imagesPerSecond({ model, batchSize, size, precision }) {
      const same = trainings.filter((training) => {
        return (
          training.train === model &&
          training.batch === batchSize &&
          training.size === size &&
          training.amp === (precision === 'mixed')
        )
      })
      return same.length === 0 ? undefined : Math.max(...same.map(({ imagesPerSecond }) => imagesPerSecond))
    },
  }
}

function convolutionKey(pass: string, n: number, [channels, side, ...others]: readonly number[]): string {
  // PyTorch's images may be padded to four channels, as ours are in storage.
  return `${pass} ${n} ${[channels === 4 ? 3 : channels, side, ...others].join(' ')}`
}

/** Returns the key of a convolution in f16 on square images, the type in which PyTorch's were measured. */
function keyOf(name: string): string | undefined {
  const found = /^conv2d\/(\S+) \[(\d+),(\d+),\d+,(\d+)\]→\[\d+,\d+,\d+,(\d+)\] (\d+)×\d+(?: \/(\d+))? f16$/.exec(name)
  if (!found) return undefined
  const [, pass, n, side, channels, out, window, stride = '1'] = found
  return convolutionKey(pass, Number(n), [channels, side, out, window, stride].map(Number))
}
