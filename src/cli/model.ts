import { DataError, OptionError } from '../base/errors.ts'
import { loadLearner } from '../node.ts'
import type { Predictor } from '../exports/train.ts'
import type { Files, Platform } from '../platform/platform.ts'
import { invocation } from './output.ts'

/** File of the model in a run's folder. */
const MODEL_FILE = 'model.safetensors'

/** True if a folder is there and can be listed. */
export function isFolder(files: Files, path: string): Promise<boolean> {
  return files.list(path).then(
    () => true,
    () => false,
  )
}

/** Returns the file of an argument: itself, or that of a name in the folder of a run. @throws DataError  if a folder has none */
export async function fileOfRun({ files }: Platform, given: string, name: string, fix: string): Promise<string> {
  const inside = files.join(given, name)
  if (await files.exists(inside)) return inside
  if (await isFolder(files, given)) throw new DataError(given, `there is no ${name} in this folder`, { fix })
  return given
}

/** Returns the model file of an argument: itself, or that in the folder of a run. @throws OptionError  for another format */
export async function modelPath(platform: Platform, given: string): Promise<string> {
  if (/\.onnx$/i.test(given)) {
    throw new OptionError('MODEL', 'an ONNX file is for other programs', {
      given: { MODEL: given },
      fix: `name the ${MODEL_FILE} that it was made from`,
    })
  }
  return fileOfRun(
    platform,
    given,
    MODEL_FILE,
    `name the folder of a run that is over; ${invocation()} train --resume DIR ends one that was interrupted`,
  )
}

/** Loads the model of an argument. @throws DataError  if it is missing or not an exported model */
export async function loadModel(platform: Platform, given: string): Promise<Predictor> {
  return loadLearner(await modelPath(platform, given), { platform })
}
