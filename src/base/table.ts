/** Formats lines of cells as columns of text, the first ones aligned left, one by default, and the others right. */
export function formatTable(lines: readonly (readonly string[])[], left = 1): string {
  const widths = lines[0].map((_, column) => lines.reduce((most, line) => Math.max(most, line[column]?.length ?? 0), 0))
  return lines
    .map((line) =>
      line
        .map((cell, i) => (i < left ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
