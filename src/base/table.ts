/** Formats lines of cells as columns of text, the first aligned left, the others right. */
export function formatTable(lines: readonly (readonly string[])[], gap = '  '): string {
  const widths = lines[0].map((_, column) => lines.reduce((most, line) => Math.max(most, line[column]?.length ?? 0), 0))
  return lines
    .map((line) =>
      line
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join(gap)
        .trimEnd(),
    )
    .join('\n')
}
