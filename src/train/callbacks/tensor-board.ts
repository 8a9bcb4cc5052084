import { PbfWriter } from '../../vendor/pbf-writer.js'
import { crc32c } from '../../base/crc32.ts'
import { joined } from '../../base/join.ts'
import { checkArgument, PATH } from '../../base/options.ts'
import type { Callback } from '../fit/callback.ts'
import type { Platform } from '../../platform/platform.ts'
import type { FitState } from '../fit/state.ts'
import { tryToWrite } from '../fit/try-to-write.ts'

/** One number at one step. */
interface Scalar {
  readonly tag: string
  readonly value: number
}

/** Bytes from which on a file is not written once more. An event of a step has about 100, so that most fits have one file. */
const FULL = 2 ** 22

/**
 * Makes a callback that writes an event file for TensorBoard (`tensorboard --logdir runs`): smoothed loss, learning rate and
 * momentum of every training step, and after every epoch the validation loss and all metrics, at the step that they were
 * computed after. Steps are counted over all fits of a learner, each of which writes a file of its own after every epoch, and
 * a long one several, so that it takes no more and more memory. While none can be written the fit goes on; the next epoch
 * writes all figures.
 *
 * @param folder  folder of the run, which TensorBoard names it by. Default 'runs/tensorboard'
 * @throws DataError  at the beginning of a fit, if the file cannot be written
 * Source: fastai callback/tensorboard.py, TensorBoardCallback (the names of the figures).
 */
export function tensorBoard(folder = 'runs/tensorboard'): Callback {
  checkArgument('tensorBoard', 'folder', folder, PATH)
  let file = ''
  let records: Uint8Array[] = []
  /** Training steps of earlier fits, and of all fits so far. */
  let offset = 0
  let steps = 0
  const add = (step: number, scalars: readonly Scalar[]) => {
    records.push(tfRecord(event({ wallTime: Date.now() / 1000, step, scalars })))
  }
  const beginFile = ({ files }: Platform) => {
    // TensorBoard reads the files of a folder in the order of their names.
    const time = String(Date.now()).padStart(13, '0')
    file = files.join(folder, `events.out.tfevents.${time}.${String(steps).padStart(8, '0')}.wgrad`)
    records = [tfRecord(event({ wallTime: Date.now() / 1000, version: 'brain.Event:2' }))]
  }
  const write = async ({ platform }: FitState) => {
    const bytes = joined(Uint8Array, records)
    const isWritten = await tryToWrite(platform, 'event file', () => platform.files.write(file, bytes))
    if (isWritten && bytes.length >= FULL) beginFile(platform)
  }
  return {
    name: 'tensorBoard',
    order: 60,
    duringLrFind: false,
    async beforeFit({ platform }) {
      offset = steps
      beginFile(platform)
      await platform.files.requireWritable?.(file)
    },
    lossKnown({ recorder }, { iteration, loss }) {
      const at = recorder.losses.length - 1
      steps = offset + iteration + 1
      add(steps, [
        { tag: 'train_loss', value: recorder.losses[at] },
        { tag: 'train_loss/each_step', value: loss },
        { tag: 'lr', value: recorder.lrs[at] },
        { tag: 'mom', value: recorder.momentums[at] },
      ])
    },
    async afterEpoch(state) {
      const row = state.recorder.rows.at(-1)
      if (row) {
        const metrics = Object.entries(row.metrics).map(([tag, value]) => ({ tag, value }))
        add(steps, [{ tag: 'valid_loss', value: row.validLoss }, ...metrics])
      }
      await write(state)
    },
    async afterFit(state) {
      // The one record of a file that was just begun is the version of the format.
      if (records.length > 1) await write(state)
    },
    state: () => ({ offset, steps }),
    restore(saved) {
      const { offset: before, steps: all } = saved as { readonly offset: number; readonly steps: number }
      offset = before
      steps = all
    },
  }
}

/** Event of TensorBoard: the version of the format, or numbers of one step. */
interface Event {
  /** Seconds since 1970. */
  readonly wallTime: number
  readonly version?: string
  readonly step?: number
  readonly scalars?: readonly Scalar[]
}

/** Encodes an event. Source: tensorboard/compat/proto/event.proto, Event; summary.proto, Summary. */
function event({ wallTime, version, step = 0, scalars = [] }: Event): Uint8Array {
  const writer = new PbfWriter()
  writer.writeDoubleField(1, wallTime)
  writer.writeVarintField(2, step)
  if (version !== undefined) writer.writeStringField(3, version)
  if (scalars.length > 0) {
    writer.writeMessage(
      5,
      (_scalars, summary) => {
        for (const scalar of scalars) {
          summary.writeMessage(
            1,
            ({ tag, value }: Scalar, one) => {
              one.writeStringField(1, tag)
              one.writeFloatField(2, value)
            },
            scalar,
          )
        }
      },
      scalars,
    )
  }
  return writer.finish()
}

/**
 * Frames one record: its length in eight bytes, a checksum of them, the record, a checksum of it, all little-endian.
 *
 * Source: tensorflow/core/lib/io/record_writer.cc (TFRecord).
 */
function tfRecord(data: Uint8Array): Uint8Array {
  const framed = new Uint8Array(data.length + 16)
  const view = new DataView(framed.buffer)
  view.setBigUint64(0, BigInt(data.length), true)
  view.setUint32(8, masked(crc32c(framed.subarray(0, 8))), true)
  framed.set(data, 12)
  view.setUint32(12 + data.length, masked(crc32c(data)), true)
  return framed
}

/** Turns a checksum and adds a constant. Source: tensorflow/core/lib/hash/crc32c.h, Mask. */
function masked(checksum: number): number {
  return (((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0
}
