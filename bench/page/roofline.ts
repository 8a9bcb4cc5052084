/** Worker that proves and times kernels on the visitor's GPU, with the same code as `npm run bench`. */
import { openGpu } from 'wgrad'
import { measureAll } from '../kernels/harness.ts'
import { kernelCases } from '../kernels/index.ts'
import { kernelTable } from '../kernels/kernel-table.ts'
import { peaksText } from 'wgrad/testing'
import { rooflineSvg } from '../kernels/roofline.ts'

export type RooflineMessage =
  | { readonly done: number; readonly of: number; readonly name: string }
  | { readonly svg: string; readonly peaks: string; readonly table: string; readonly failures: readonly string[] }
  | { readonly error: string }

/** Cases of one size: a processor takes a minute for few of them, a GPU for all. */
const SELECTIONS = {
  gpu: { selection: { models: ['xresnet18'], sizes: [128], dtypes: ['f16'], batch: 32 }, only: '' },
  software: { selection: { models: ['xresnet18'], sizes: [32], dtypes: ['f16'], batch: 4 }, only: 'conv2d' },
} as const
const TIMING = { rounds: 5, patienceMs: 200 }

const tell = (message: RooflineMessage) => postMessage(message)

async function measure(): Promise<void> {
  const gpu = await openGpu({ profile: true })
  const { selection, only } = gpu.software ? SELECTIONS.software : SELECTIONS.gpu
  const cases = kernelCases(selection).filter(({ name }) => name.includes(only))
  tell({ done: 0, of: cases.length, name: 'measuring the limits of the adapter' })
  const { peaks, rows, failures } = await measureAll(gpu, cases, TIMING, ({ rows: { length }, failures: wrong }) => {
    const done = length + wrong.length
    tell({ done, of: cases.length, name: cases[done]?.name ?? 'measuring the limits again' })
  })
  const subtitle = `xresnet18, batch ${selection.batch} at ${selection.sizes[0]} px, in a browser`
  tell({
    svg: rooflineSvg({ rows, peaks, title: gpu.name, subtitle }),
    peaks: peaksText(peaks),
    table: kernelTable(rows),
    failures,
  })
  gpu.close()
}

measure().catch((error: unknown) => tell({ error: error instanceof Error ? error.message : String(error) }))
