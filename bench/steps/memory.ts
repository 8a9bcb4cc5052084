import { formatBytes } from '../../src/base/format.ts'
import { formatTable } from '../../src/base/table.ts'
import type { Module } from '../../src/nn/module.ts'
import { storedCount, type Shape } from '../../src/tensor/shape.ts'

/**
 * GPU memory that a training step with Adam needs at least, at its peak at the end of the forward pass:
 *
 * - Per number of a parameter: 4 bytes for itself, 4 for its gradient, 8 for Adam's moments, and 2 for the f16 copy in
 * mixed precision.
 * - Activations that a backward pass reads, in their storage type: the input of every convolution and of the linear
 * layer; the input of every batch norm, which is the output of every convolution; the output of a block, for the mask
 * of its ReLU (it is the next block's input). Neither the shortcut's batch norm, which is only added, nor the input of
 * a pool: the max pool keeps one byte per output with the position of the maximum.
 * - The logits a second time, in f32.
 *
 * Tensors made by backward are not included, since activations have been released by then; nor are pixels, statistics
 * and slices of sums.
 */
export interface MemoryNeed {
  readonly parameters: number
  readonly activations: number
  readonly total: number
}

export function memoryNeed(model: Module, input: Shape, precision: 'mixed' | 'f32'): MemoryNeed {
  const dtype = precision === 'mixed' ? 'f16' : 'f32'
  const bytesEach = precision === 'mixed' ? 2 : 4
  const numbers = model.parameters().reduce((sum, { count }) => sum + count, 0)
  const parameters = numbers * (4 + 4 + 8 + (precision === 'mixed' ? 2 : 0))
  const rows = model.describe(input)
  let activations = storedCount({ shape: input, dtype }) * bytesEach
  rows.forEach(({ path, layer, output }, i) => {
    const count = storedCount({ shape: output, dtype })
    const onlyAdded = layer === 'batch norm' && path.includes('idpath.')
    const onlyPooled = layer === 'batch norm' && rows[i + 1]?.layer.startsWith('max pool') === true
    if (layer === 'linear') activations += 4 * count
    else if (!onlyAdded && !onlyPooled) activations += count * (bytesEach + (layer.startsWith('max pool') ? 1 : 0))
  })
  return { parameters, activations, total: parameters + activations }
}

/** Memory of one training step. */
export interface MemoryRow extends MemoryNeed {
  /** Name of the case: `xresnet18 [64,128,128,3] mixed` */
  readonly name: string
  /** Largest number of bytes of buffers in use at once, in a step that is not replayed. */
  readonly peakBytes: number
  /** Bytes of all buffers that were allocated, which a recording keeps. */
  readonly allocatedBytes: number
  readonly residentBytes: number
}

/** Cells of a row that every table of memory has. */
export function memoryCells(row: MemoryRow): string[] {
  return [
    row.name,
    formatBytes(row.parameters),
    formatBytes(row.activations),
    formatBytes(row.total),
    formatBytes(row.peakBytes),
    `${(row.peakBytes / row.total).toFixed(2)}×`,
    formatBytes(row.allocatedBytes),
  ]
}

export function memoryTable(rows: readonly MemoryRow[]): string {
  const head = ['training step', 'parameters', 'activations', 'needed', 'peak', 'of need', 'allocated', 'process']
  return formatTable([head, ...rows.map((row) => [...memoryCells(row), formatBytes(row.residentBytes)])])
}
