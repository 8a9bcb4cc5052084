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
export { createNodePlatform, nodePlatform, type NodePlatformOptions } from './platform/node/index.ts'

/**
 * Opens the fastest GPU there is and makes it the one that operations run on. Where there is only a software adapter, which
 * computes on the processor, it is used, and `gpu.software` is true.
 *
 * @throws DeviceError  if there is no adapter, with advice on how to get one
 * @throws OptionError  if an option or a setting has an unknown value
 */
export function openGpu(options: GpuOptions = {}): Promise<Gpu> {
  return openGpuOn(nodePlatform, options)
}

// The same as in index.ts, but that they need no open GPU to know the platform.

const inNode = <Options extends { readonly platform?: Platform }>(options = {} as Options) => ({
  ...options,
  platform: options?.platform ?? nodePlatform,
})

/**
 * Returns the folder of a data set, fetched and unpacked if it is not there yet. Data sets are kept in `~/.fastai`, or where the
 * setting `FASTAI_HOME` says, which is shared with fastai: what one has fetched, the other finds.
 *
 * @param url  one of `urls`, or the address of any .tgz
 * @throws DataError  if the archive cannot be fetched, is not the expected one or cannot be unpacked
 */
export const untarData: typeof untar.untarData = (url, options) => untar.untarData(url, inNode(options))

/**
 * Returns the folder of a generated data set, for where none can be fetched: ten classes of shapes and textures in folders
 * below `train` and `val`, 1,600 images unless `images` says otherwise. `kind` draws several labels per image, numbers or grey
 * images. Drawn once, and found again.
 *
 * @throws OptionError  if there are fewer images than put one of every class into `val`
 * @throws DataError  if the files cannot be written
 */
export const sampleData: typeof sample.sampleData = (options) => sample.sampleData(inNode(options))

/**
 * Returns the paths of all images below a folder, in the same order on every machine. Files are images by their suffix, or by
 * their first bytes where the suffix is unknown; hidden files and folders that systems make are left out.
 *
 * @throws DataError  if `path` or one of `folders` does not exist, or there is no image
 */
export const getImageFiles: typeof items.getImageFiles = (path, options) => items.getImageFiles(path, inNode(options))

/**
 * Decodes every file, on all decoding threads, and returns those that cannot be decoded, each with its error.
 *
 *   const bad = await verifyImages(await getImageFiles(path))
 */
export const verifyImages: typeof verify.verifyImages = (paths, options) => verify.verifyImages(paths, inNode(options))

/**
 * Returns the files of a model on the Hugging Face hub, fetched if they are not there yet, and checked by their SHA-256. They
 * are kept in `~/.fastai/models`, or below the setting `FASTAI_HOME`.
 *
 * @param name  such as `timm/resnet18d.ra2_in1k`; without an owner the owner is `timm`
 * @throws OptionError  if this is not the name of a model
 * @throws DataError  if a file cannot be fetched, or is not the expected one
 */
export const hubModel: typeof hub.hubModel = (name, options) => hub.hubModel(name, inNode(options))

/**
 * Reads weights from a file, `.safetensors` or a `.pth` of which nothing is executed, or from the Hugging Face hub.
 *
 * @param source  path of a file, or name on the hub, such as `resnet18d.ra2_in1k`
 * @throws DataError  that names the file, if it is missing, damaged or of another format
 */
export const readPretrained = (source: string, options: hub.HubOptions = {}): Promise<pretrained.Pretrained> =>
  pretrained.readPretrained(source, inNode(options))

/**
 * Writes smaller copies of all images below a folder, so that they are decoded faster in training.
 *
 *   const { bad } = await resizeImages('photos', { size: 500, dest: 'photos-500' })
 *
 * @returns  paths of the copies, and images that cannot be decoded, which have none
 * @throws OptionError  if size is not a positive integer, or dest is the folder of the images
 * @throws DataError  if there are no images, two would get one name, or the copies cannot be written
 */
export const resizeImages: typeof resized.resizeImages = (path, options) => resized.resizeImages(path, inNode(options))

/**
 * Loads a file that `learner.export` wrote, or its contents, and returns a predictor, which computes in f32.
 *
 * @param source  path of the file, or its contents: bytes, a Blob or a File
 * @throws DataError  that names the file, if it has another format, is damaged, or holds a model of an unknown architecture
 */
export const loadLearner = (
  source: ModelSource,
  options: Partial<exported.LoadLearnerOptions> = {},
): Promise<Predictor> => exported.loadLearner(source, inNode(options))
