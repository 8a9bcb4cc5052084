import { jsonText, parseJson, type Json } from '../../src/base/json.ts'
import { readWeights, writeWeights } from '../../src/nn/weights.ts'
import type { Files } from '../../src/platform/platform.ts'

/** Replaces entries of the metadata of a model file; undefined entries are removed. */
export async function changeInfo(
  files: Files,
  path: string,
  changes: Readonly<Record<string, Json | undefined>>,
): Promise<void> {
  const { weights, metadata } = readWeights(path, await files.read(path))
  const info = { ...(parseJson(metadata.wgrad) as Record<string, Json>), ...changes }
  // As files of before there were checksums: what is changed is said of itself.
  const { 'wgrad.sha256': _checksum, ...others } = metadata
  await files.write(path, writeWeights(weights, { ...others, wgrad: jsonText(info) }))
}
