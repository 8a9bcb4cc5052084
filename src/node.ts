/**
 * The library in Node.
 *
 * @module wgrad
 */
import { openGpuOn, type Gpu, type GpuOptions } from './gpu/device.ts'
import * as hub from './data/hub.ts'
import * as items from './data/items.ts'
import * as resized from './data/resize-images.ts'
import * as sample from './data/sample.ts'
import * as untar from './data/untar-data.ts'
import * as verify from './data/verify-images.ts'
import { nodePlatform } from './platform/node/index.ts'
import type { Platform } from './platform/platform.ts'
import * as exported from './train/files/export.ts'
import type { ModelSource } from './train/files/model-file.ts'
import * as pretrained from './train/files/pretrained.ts'
import type { Predictor } from './train/results/predictor.ts'

export * from './index.ts'
export { createNodePlatform, nodePlatform } from './platform/node/index.ts'

/** Opens the fastest GPU there is and makes it the one that operations run on. See `openGpuOn`. */
export function openGpu(options: GpuOptions = {}): Promise<Gpu> {
  return openGpuOn(nodePlatform, options)
}

// The same as in index.ts, but that they need no open GPU to know the platform.

const inNode = <Options extends { readonly platform?: Platform }>(options = {} as Options) => ({
  ...options,
  platform: options?.platform ?? nodePlatform,
})

/** The folder of a data set, fetched and unpacked when it is not there yet. See data/untar-data.ts. */
export const untarData: typeof untar.untarData = (url, options) => untar.untarData(url, inNode(options))

/** The folder of a generated data set, for where none can be fetched. See data/sample.ts. */
export const sampleData: typeof sample.sampleData = (options) => sample.sampleData(inNode(options))

/** The paths of all images below a folder. See data/items.ts. */
export const getImageFiles: typeof items.getImageFiles = (path, options) => items.getImageFiles(path, inNode(options))

/** The files that cannot be decoded. See data/verify-images.ts. */
export const verifyImages: typeof verify.verifyImages = (paths, options) => verify.verifyImages(paths, inNode(options))

/** The files of a model on the hub, fetched when they are not there yet. See data/hub.ts. */
export const hubModel: typeof hub.hubModel = (name, options) => hub.hubModel(name, inNode(options))

/** Weights from a file or from the hub. See train/files/pretrained.ts. */
export const readPretrained = (source: string, options: hub.HubOptions = {}): Promise<pretrained.Pretrained> =>
  pretrained.readPretrained(source, inNode(options))

/** Smaller copies of all images below a folder. See data/resize-images.ts. */
export const resizeImages: typeof resized.resizeImages = (path, options) => resized.resizeImages(path, inNode(options))

/** Loads a file that `learner.export` wrote, ready to predict. See train/files/export.ts. */
export const loadLearner = (
  source: ModelSource,
  options: Partial<exported.LoadLearnerOptions> = {},
): Promise<Predictor> => exported.loadLearner(source, inNode(options))
