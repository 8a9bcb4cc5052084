import { OptionError } from '../base/errors.ts'
import { loadLearner } from '../node.ts'
import type { Predictor } from '../exports/train.ts'
import type { Platform } from '../platform/platform.ts'

/** File of the model in a run's folder. */
const MODEL_FILE = 'model.safetensors'

/** Returns the model file of an argument: itself, or that in the folder of a run. @throws OptionError  for another format */
export async function modelPath({ files }: Platform, given: string): Promise<string> {
  if (/\.onnx$/i.test(given)) {
    throw new OptionError('MODEL', 'an ONNX file is for other programs', {
      given: { MODEL: given },
      fix: `name the ${MODEL_FILE} that it was made from`,
    })
  }
  const inside = files.join(given, MODEL_FILE)
  return (await files.exists(inside)) ? inside : given
}

/** Loads the model of an argument. @throws DataError  if it is missing or not an exported model */
export async function loadModel(platform: Platform, given: string): Promise<Predictor> {
  return loadLearner(await modelPath(platform, given), { platform })
}
