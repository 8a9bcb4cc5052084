import { nodePlatform } from '../../src/platform/node/index.ts'
import { PARTS, type Part, type PartFiles } from './parts.ts'
import { reportText } from './text.ts'
import { readTorch } from './torch.ts'

/**
 * Writes the report of all parts found in the folder, including those of earlier commands.
 *
 * @param more  lines at the end
 */
export async function writeReport(
  { out, torch }: { readonly out: string; readonly torch: string | undefined },
  more: readonly string[] = [],
): Promise<void> {
  const { files } = nodePlatform
  const found: Partial<Record<Part, unknown>> = {}
  for (const part of PARTS) {
    const path = files.join(out, `${part}.json`)
    if (await files.exists(path)) found[part] = JSON.parse(await files.readText(path))
  }
  const baseline = torch === undefined ? undefined : readTorch(await files.readText(torch))
  const text = reportText(found as Partial<PartFiles>, baseline)
  await files.write(files.join(out, 'report.md'), [text, ...more].join('\n'))
}
