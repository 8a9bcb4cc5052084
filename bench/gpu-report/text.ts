import { formatBytes, formatRate, formatTime } from '../../src/base/format.ts'
import { memoryCells } from '../steps/memory.ts'
import type { PartFiles, Proof } from './parts.ts'
import type { TaskEnd } from './plan.ts'
import type { TorchBaseline } from './torch.ts'
import type { Row } from '../kernels/harness.ts'
import { totals } from '../kernels/kernel-table.ts'
import type { Machine } from '../machine/machine.ts'
import { arithmeticPeak, type Peaks } from '../../src/testing/peaks.ts'
import { percent } from '../../src/base/format.ts'
import { imagesPerSecond, stepName, type StepRow } from '../steps/step.ts'

/** Formats the parts as tables in Markdown, for bench/results. */
export function reportText(parts: Partial<PartFiles>, torch: TorchBaseline | undefined): string {
  const machine = Object.values(parts)[0]?.machine
  return [
    ...(machine ? head(machine, torch) : ['# Nothing measured yet']),
    ...(parts.correctness ? correctness(parts.correctness.proofs) : []),
    ...(parts.kernels ? kernels(parts.kernels, torch) : []),
    ...(parts.steps ? steps(parts.steps, torch) : []),
    ...(parts.memory ? memory(parts.memory) : []),
    ...(parts.loader ? loader(parts.loader) : []),
    '',
  ].join('\n')
}

function head(
  { device, driver, software, cores, date, versions }: Machine,
  torch: TorchBaseline | undefined,
): string[] {
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  return [
    `# ${device}`,
    '',
    ...(software ? ['**A software adapter: these are figures of a processor, and say nothing about a GPU.**', ''] : []),
    `Driver ${driver}; ${cores} processor cores; ${programs.join(', ')}; ${date.slice(0, 10)}.`,
    ...(torch ? ['', `Beside it: ${torch.device}.`] : []),
  ]
}

function correctness(proofs: readonly Proof[]): string[] {
  const failures = proofs.flatMap((proof) => proof.failures)
  return section('Correctness of convolution kernels', [
    'Against sums in double precision, at the shapes of the networks and at odd ones. Off by: the worst of all elements',
    'looked at, in parts of the largest.',
    '',
    ...table(
      ['family', 'kernel', 'pass', 'type', 'shapes', 'off by', 'right'],
      proofs.map((proof) => [
        proof.family,
        proof.kernel,
        proof.pass,
        proof.dtype,
        String(proof.shapes),
        proof.deviation.toExponential(1),
        proof.failures.length === 0 ? 'yes' : `**no, at ${proof.failures.length}**`,
      ]),
    ),
    ...failures.map((failure) => `- ${failure}`),
  ])
}

function kernels({ peaks, rows, failures }: PartFiles['kernels'], torch: TorchBaseline | undefined): string[] {
  const products = rows.filter(({ flops, name }) => flops > 0 && !name.startsWith('linear'))
  const others = rows.filter((row) => !products.includes(row))
  const sums = totals(rows).filter(({ timeMs }) => timeMs > 0)
  return [
    ...section('Measured peaks', peakTable(peaks)),
    ...section('Matrix products and convolutions', [
      '"Of its roof" is the least time that the measured peaks allow over the time it took, "of arithmetic" the part of the',
      'peak of the multiply-adds, or of the matrix units where the kernel uses them.',
      '',
      ...table(
        [
          'kernel',
          'ms',
          'rate',
          'of arithmetic',
          'of its roof',
          ...(torch ? ['PyTorch ms', 'times its speed'] : []),
          'computed by',
        ],
        products.map((row) => [
          row.name,
          row.medianMs.toPrecision(3),
          formatRate(row.flops, row.medianMs, 'FLOP'),
          ofPeak(row, peaks),
          share(row),
          ...beside(row, torch),
          row.kernel,
        ]),
      ),
    ]),
    ...section(
      'Other kernels',
      table(
        ['kernel', 'ms', 'memory', 'of its roof', 'launches'],
        others.map((row) => [
          row.name,
          row.medianMs.toPrecision(3),
          formatRate(row.bytes, row.medianMs, 'B'),
          share(row),
          String(row.launches),
        ]),
      ),
    ),
    ...section(
      'Together, in one training step',
      table(
        ['network', 'operation', 'times', 'time', 'rate'],
        sums.map(({ network, pass, count, timeMs, flops }) => {
          return [network, pass, String(count), formatTime(timeMs), flops > 0 ? formatRate(flops, timeMs, 'FLOP') : '']
        }),
      ),
    ),
    ...(failures.length > 0
      ? section(
          '**Failures**',
          failures.map((failure) => `- ${failure}`),
        )
      : []),
    '',
    '![Every kernel under the roofs of the device](kernels.svg)',
  ]
}

function peakTable({ f32, f16, matrix, copy, launchMs, recordMs }: Peaks): string[] {
  const rate = (peak: number | undefined, unit: string) => (peak === undefined ? 'none' : formatRate(peak, 1000, unit))
  return table(
    ['f32', 'f16', 'matrix units, f16 to f32', 'copying', 'smallest launch', 'recording a launch'],
    [
      [
        rate(f32, 'FLOP'),
        rate(f16, 'FLOP'),
        rate(matrix, 'FLOP'),
        rate(copy, 'B'),
        formatTime(launchMs),
        formatTime(recordMs),
      ],
    ],
  )
}

/**
 * Returns the fraction of the peak of its arithmetic. The limiting roof does not tell whether a kernel ran on matrix
 * units, since it may be memory.
 */
function ofPeak({ flops, medianMs, kernel }: Row, peaks: Peaks): string {
  const peak = arithmeticPeak(peaks, kernel.startsWith('matrix') ? 'matrix' : 'f32')
  return percent(flops / (medianMs / 1000) / peak)
}

function share(row: Row): string {
  return `${percent(row.share)} ${row.roof}`
}

function beside(row: Row, torch: TorchBaseline | undefined): string[] {
  if (!torch) return []
  const ms = torch.kernelMs(row)
  return ms === undefined ? ['', ''] : [ms.toPrecision(3), `${(ms / row.medianMs).toFixed(2)}×`]
}

function steps({ rows, profiles }: PartFiles['steps'], torch: TorchBaseline | undefined): string[] {
  return [
    ...section('Training steps', [
      'Images per second of steps in a row, on a batch that stays on the GPU.',
      '',
      ...table(
        [
          'step',
          'kernels by',
          'images/s',
          ...(torch ? ["PyTorch's", 'times its speed'] : []),
          'step',
          'in a row',
          'kernels',
          'recording',
          'replay',
          'rate',
          'launches',
          'GPU memory',
        ],
        rows.map((row) => [
          stepName(row),
          row.tuned === false ? 'rule' : 'tuner',
          imagesPerSecond(row).toFixed(0),
          ...stepBeside(row, torch),
          formatTime(row.medianMs),
          formatTime(row.streamMs),
          formatTime(row.kernelsMs),
          formatTime(row.recordingMs),
          formatTime(row.replayMs),
          formatRate(row.flops, row.streamMs, 'FLOP'),
          String(row.launches),
          formatBytes(row.memory.allocatedBytes),
        ]),
      ),
    ]),
    ...rows.flatMap((row, i) => [
      '',
      `<details><summary>${stepName(row)}, by operation</summary>`,
      '',
      '```',
      profiles[i],
      '```',
      '',
      '</details>',
    ]),
  ]
}

/** Formats how the tasks of a report with a time limit ended, and the epochs that its trainings printed. */
export function timedText(ends: readonly TaskEnd[], epochs: (name: string) => readonly string[]): string[] {
  const trained = ends.map(({ name }) => [name, epochs(name)] as const).filter(([, lines]) => lines.length > 0)
  return [
    ...section('What was measured in the time', [
      ...table(
        ['task', 'seconds given', 'taken', 'ended'],
        ends.map(({ name, slot, seconds, end, why }) => {
          return [name, String(slot), seconds.toFixed(0), why === undefined ? end : `${end}: ${why}`]
        }),
      ),
    ]),
    ...trained.flatMap(([name, lines]) => section(`Epochs of ${name}, from image files`, ['```', ...lines, '```'])),
    '',
  ]
}

function stepBeside(row: StepRow, torch: TorchBaseline | undefined): string[] {
  if (!torch) return []
  const theirs = torch.imagesPerSecond(row)
  return theirs === undefined ? ['', ''] : [theirs.toFixed(0), `${(imagesPerSecond(row) / theirs).toFixed(2)}×`]
}

function memory({ rows }: PartFiles['memory']): string[] {
  return section('GPU memory of a training step', [
    'Needed: parameters, gradients, Adam, and what backward reads of the activations: the rule is in bench/steps/memory.ts.',
    '',
    ...table(['step', 'parameters', 'activations', 'needed', 'peak', 'of need', 'allocated'], rows.map(memoryCells)),
  ])
}

function loader({ rows, data }: PartFiles['loader']): string[] {
  return section('Loading beside training, images per second', [
    `Images: ${data}.`,
    '',
    ...table(
      ['step', 'pixels', 'loader alone', 'training alone', 'both', 'of the slower', 'decoding threads'],
      rows.flatMap((row) => {
        const line = (pixels: string, alone: number, together: number) => [
          stepName(row),
          pixels,
          alone.toFixed(0),
          row.training.toFixed(0),
          together.toFixed(0),
          percent(together / Math.min(alone, row.training)),
          String(row.threads),
        ]
        return [line('decoded', row.cold, row.togetherCold), line('remembered', row.warm, row.togetherWarm)]
      }),
    ),
  ])
}

function section(title: string, lines: readonly string[]): string[] {
  return ['', `## ${title}`, '', ...lines]
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)]
}
