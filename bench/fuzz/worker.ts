import { fuzzCase } from './case.ts'
import { examine, type Finding } from './examine.ts'
import { subjects, type Kind } from './subjects.ts'

/** Files that the reading process must examine. */
export interface Order {
  readonly kind: Kind
  readonly seed: number
  readonly from: number
  readonly to: number
}

/** Message of the reading process: without a finding when it starts a file, with one when it is done. */
export type Report = { readonly index: number; readonly finding?: Finding }

const order = JSON.parse(process.argv[2]) as Order
/** Resolves when the message has been sent: a message still queued when a process ends may be lost. */
const report = (message: Report) => new Promise<unknown>((resolve) => process.send?.(message, resolve))
const subject = (await subjects())[order.kind]
for (let index = order.from; index < order.to; index++) {
  await report({ index })
  await report({ index, finding: await examine(subject, fuzzCase(order.kind, subject, order.seed, index)) })
}
process.disconnect?.()
