import { formatShape } from '../base/format.ts'
import { formatTable } from '../base/table.ts'
import type { Shape } from '../tensor/shape.ts'
import type { StateTensor } from './parameter.ts'

/** Row of a model summary: one layer. */
export interface LayerRow {
  /** Path from the described module down; '' for that module itself. */
  readonly path: string
  /** Description of the layer, such as `conv 3×3 / 2`. */
  readonly layer: string
  /** Shape of the output. */
  readonly output: Shape
  /** Number of parameters. */
  readonly parameters: number
  /**
   * Floating-point operations of convolutions and matrix products, two per multiply-add; other operations are not
   * counted.
   */
  readonly flops: number
}

/** Makes the row of a layer that contains no other layers. */
export function layerRow(layer: string, output: Shape, parameters: readonly StateTensor[], flops = 0): LayerRow {
  return { path: '', layer, output, parameters: parameters.reduce((sum, { count }) => sum + count, 0), flops }
}

/** Prefixes the paths of rows with the name of a module. */
export function rowsUnder(name: string, rows: readonly LayerRow[]): LayerRow[] {
  return rows.map((row) => ({ ...row, path: row.path === '' ? name : `${name}.${row.path}` }))
}

/** Formats rows as a table with totals at the end. */
export function summaryTable(rows: readonly LayerRow[]): string {
  const parameters = rows.reduce((sum, row) => sum + row.parameters, 0)
  const flops = rows.reduce((sum, row) => sum + row.flops, 0)
  const table = [
    ['path', 'layer', 'output', 'parameters', 'MFLOP'],
    ...rows.map((row) => [row.path, row.layer, formatShape(row.output), grouped(row.parameters), megaflops(row.flops)]),
    ['total', '', '', grouped(parameters), megaflops(flops)],
  ]
  return formatTable(table, 3)
}

/** Formats a count with separators of thousands: 11708744 → `11,708,744`; 0 → ''. */
function grouped(count: number): string {
  return count === 0 ? '' : String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}

function megaflops(flops: number): string {
  return flops === 0 ? '' : (flops / 1e6).toFixed(1)
}
