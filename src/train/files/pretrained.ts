import { DataError, OptionError } from '../../base/errors.ts'
import { isRecord, parseRecord, type Json } from '../../base/json.ts'
import { checkOptions } from '../../base/options.ts'
import { normalize, type ChannelStats } from '../../data/augment/normalize.ts'
import { HUB_KINDS, hubModel, type HubOptions } from '../../data/hub.ts'
import { batchTransformsFrom } from '../../data/transform-records.ts'
import type { StateDict } from '../../nn/state-dict.ts'
import type { Platform } from '../../platform/platform.ts'
import { about, parseModelFile } from './model-file.ts'

/** Facts about weights that their file, or the `config.json` beside it, states. */
export interface PretrainedConfig {
  /** Name of the architecture: `resnet18d`, as timm has it, or `xresnet18`. */
  readonly architecture?: string
  /** Factor of the widths of an xresnet's stages, of weights that were exported here. */
  readonly widen?: number
  /** Mean and deviation that images were normalized with. */
  readonly stats?: ChannelStats
  /** Height and width of the images, in pixels. */
  readonly size?: readonly [height: number, width: number]
  /** Part of an image's side that validation crops. */
  readonly cropPct?: number
  /** Interpolation that images were resized with: `bicubic`. */
  readonly interpolation?: string
  /** Name of the first convolution, and of the head's linear layer. */
  readonly firstConv?: string
  readonly classifier?: string
}

/** Weights that were trained elsewhere. */
export interface Pretrained {
  /** The file that they were read from. */
  readonly path: string
  /** Under the names of the file; `loadWeights` finds those of a model. */
  readonly weights: StateDict
  readonly config: PretrainedConfig
}

/** Files that are read, and not taken for names of the hub. */
const FILE = /\.(safetensors|pth|pt|pkl|bin)$/i

/**
 * Reads weights from a file (`.safetensors`, or `.pth` of which nothing is executed), with the `config.json` of its folder
 * where there is one; or from the model hub, by name.
 *
 * @param source  path of a file, or name on the hub: `resnet18d.ra2_in1k` (see `hubModel`)
 * @throws DataError    that names the file, when it is missing, damaged, of another format or not the one with the `sha256`
 * @throws OptionError  when a file is asked for by a revision
 */
export async function readPretrained(
  source: string,
  options: Omit<HubOptions, 'platform'> & { readonly platform: Platform },
): Promise<Pretrained> {
  checkOptions<HubOptions>('readPretrained', options, HUB_KINDS)
  const { platform, ...hub } = options
  const { files } = platform
  const local = FILE.test(source) || (await files.exists(source))
  if (local && hub.revision !== undefined) {
    throw new OptionError('readPretrained', 'a file has no revisions', {
      given: { file: source, revision: hub.revision },
    })
  }
  const found = local
    ? { weights: source, config: source.replace(/[^/\\]*$/, 'config.json') }
    : await hubModel(source, { ...hub, platform })
  const bytes = await files.read(found.weights)
  if (local && hub.sha256 !== undefined) await requireDigest(platform, source, bytes, hub.sha256)
  const { weights, info } = await parseModelFile(platform, found.weights, bytes)
  const beside = (await files.exists(found.config))
    ? pretrainedConfig(found.config, await files.readText(found.config))
    : {}
  const own = about(found.weights, () => normalizationOf(info.batchTransforms))
  return {
    path: found.weights,
    weights,
    config: { ...beside, ...networkOf(info.architecture), ...(own ? { stats: own } : {}) },
  }
}

/** @throws DataError  if the bytes of a file have not the SHA-256 that is given */
async function requireDigest({ sha256 }: Platform, path: string, bytes: Uint8Array, expected: string): Promise<void> {
  const found = await sha256(bytes)
  if (found === expected.toLowerCase()) return
  throw new DataError(path, 'these are not the weights that were asked for', { given: { 'SHA-256': found }, expected })
}

/** Network of an exported learner; one for transfer learning names that of its body. */
function networkOf(architecture: Json | undefined): Pick<PretrainedConfig, 'architecture' | 'widen'> {
  if (!isRecord(architecture) || typeof architecture.name !== 'string') return {}
  const options = isRecord(architecture.options) ? architecture.options : {}
  const [name, made] =
    typeof options.backbone === 'string' ? [options.backbone, options.body] : [architecture.name, options]
  return { architecture: name, ...(isRecord(made) && typeof made.widen === 'number' && { widen: made.widen }) }
}

/**
 * Facts of a `config.json` as timm writes it: those under `pretrained_cfg`, or at the top as older versions have them.
 *
 * @throws DataError  that names the file, when it is not JSON, or its numbers cannot be right
 * Source: timm models/_hub.py, save_config_for_hf.
 */
export function pretrainedConfig(path: string, text: string): PretrainedConfig {
  const whole = parseRecord(path, text, 'get it again from where the weights are')
  const facts = isRecord(whole.pretrained_cfg) ? { ...whole, ...whole.pretrained_cfg } : whole
  const { architecture, mean, std, input_size: size, crop_pct: cropPct, interpolation } = facts
  const texts = { architecture, interpolation, firstConv: facts.first_conv, classifier: facts.classifier }
  const named = Object.entries(texts).filter(([, value]) => typeof value === 'string')
  return {
    ...(Object.fromEntries(named) as Partial<Record<keyof typeof texts, string>>),
    ...(mean === undefined && std === undefined ? {} : { stats: statsOf(path, mean, std) }),
    ...(isCounts(size) && size.length === 3 ? { size: [size[1], size[2]] } : {}),
    ...(typeof cropPct === 'number' ? { cropPct } : {}),
  }
}

function statsOf(path: string, mean: unknown, std: unknown): ChannelStats {
  return about(path, () => {
    const { mean: means, std: deviations } = normalize({ mean, std } as ChannelStats)
    return { mean: means, std: deviations }
  })
}

/** Statistics of the normalization among the transforms of an exported learner. */
function normalizationOf(records: Json | undefined): ChannelStats | undefined {
  if (records === undefined) return undefined
  // Others, such as those from outside, do not matter here.
  const written = Array.isArray(records)
    ? (records as readonly Json[]).filter((record) => isRecord(record) && record.kind === 'normalize')
    : records
  const found = batchTransformsFrom(written).find(({ kind }) => kind === 'normalize')
  if (found?.kind !== 'normalize') return undefined
  return { mean: found.mean, std: found.std }
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((count) => Number.isSafeInteger(count) && count > 0)
}
