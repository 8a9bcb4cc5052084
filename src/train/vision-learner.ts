import { DataError, OptionError } from '../base/errors.ts'
import { checkArgument, checkOptions, FLAG, type Kind, type Kinds } from '../base/options.ts'
import { imagenetStats, normalize, sameStats, statsText, type ChannelStats } from '../data/augment/normalize.ts'
import { HUB_KINDS, type HubOptions } from '../data/hub.ts'
import { Loaders } from '../data/loaders.ts'
import type { Backbone } from '../nn/backbone.ts'
import type { LoadReport } from '../nn/load-weights.ts'
import { BACKBONE, VISION_MODEL_KINDS, visionGroups, visionModel, type VisionModelOptions } from '../nn/vision-model.ts'
import type { Pretrained, PretrainedConfig } from './files/pretrained.ts'
import { LOADERS } from './fit/kinds.ts'
import { LEARNER_KINDS, type LearnerOptions } from './learner-options.ts'
import { Learner } from './learner.ts'

/** Options of `visionLearner`: those of a `Learner` and of its network. */
export interface VisionLearnerOptions
  extends Omit<LearnerOptions, 'groups'>, Partial<VisionModelOptions>, Pick<HubOptions, 'sha256' | 'revision'> {
  /**
   * Weights of the body: the path of a file (`.safetensors`, `.pth`), the name of a model on the hub, what `readPretrained`
   * returned, or `true` for the weights in `pretrainedNames`. The body is then frozen. Default false: random ones
   */
  readonly pretrained?: string | boolean | Pretrained
  /** Normalize images as the pretrained weights expect, where the loaders do not normalize. Default true */
  readonly normalize?: boolean
}

const PRETRAINED: Kind = {
  expected: 'a path, a name on the hub, true, false, or what readPretrained returned',
  is: (value) =>
    typeof value === 'boolean' ||
    (typeof value === 'string' && value !== '') ||
    (value instanceof Object && 'weights' in value),
}
const { groups: _groups, ...LEARNER } = LEARNER_KINDS
const KINDS: Kinds<VisionLearnerOptions> = {
  ...LEARNER,
  sha256: HUB_KINDS.sha256,
  revision: HUB_KINDS.revision,
  ...VISION_MODEL_KINDS,
  pretrained: PRETRAINED,
  normalize: FLAG,
}

/**
 * Weights on the hub by architecture, for `pretrained: true`: torchvision's for the resnets, timm's for the xresnets. All are
 * trained on ImageNet-1k and of a permissive license. Source: timm 1.0.29, models/resnet.py, default_cfgs.
 */
export const pretrainedNames: Readonly<Record<string, string>> = {
  resnet18: 'timm/resnet18.tv_in1k',
  resnet34: 'timm/resnet34.tv_in1k',
  resnet50: 'timm/resnet50.tv2_in1k',
  resnet101: 'timm/resnet101.tv2_in1k',
  resnet152: 'timm/resnet152.tv2_in1k',
  xresnet18: 'timm/resnet18d.ra4_e3600_r224_in1k',
  xresnet34: 'timm/resnet34d.ra2_in1k',
  xresnet50: 'timm/resnet50d.ra4_e3600_r224_in1k',
  xresnet101: 'timm/resnet101d.ra2_in1k',
  xresnet152: 'timm/resnet152d.ra2_in1k',
}

/** Statistics that differ by more are other ones. */
const SAME_STATS = 1e-3

/** A learner of `visionLearner`. */
export class VisionLearner extends Learner {
  /** Result of loading the weights, and the facts that were read with them; `undefined` without pretrained weights. */
  pretrained: { readonly report: LoadReport; readonly config: PretrainedConfig } | undefined
}

/**
 * A learner of a network for transfer learning: the body of an architecture with fastai's head (see `visionModel`), in three
 * parameter groups. With pretrained weights the body is frozen until `unfreeze`, or `fineTune`, which trains the head first;
 * its batch norms go on learning, as in fastai.
 *
 *   const learner = await visionLearner(loaders, resnet34, { pretrained: 'resnet34.pth', metrics: [accuracy] })
 *   await learner.fineTune(5)
 *
 * One line says which tensors were loaded. Loaders that do not normalize get the mean and deviation that the weights were
 * trained with (ImageNet's where their file does not say); a line warns of loaders that normalize otherwise.
 *
 * @param backbone  resnet18 … 152 or xresnet18 … 152: the function itself
 * @throws DataError    when the weights are not of that architecture, or cannot be read
 * @throws OptionError  when an option is out of range
 * Source: fastai vision/learner.py, vision_learner.
 */
export async function visionLearner(
  loaders: Loaders,
  backbone: Backbone,
  options: VisionLearnerOptions = {},
): Promise<VisionLearner> {
  checkArgument('visionLearner', 'loaders', loaders, LOADERS)
  checkArgument('visionLearner', 'backbone', backbone, BACKBONE)
  checkOptions('visionLearner', options, KINDS)
  const {
    outputs = loaders.outputs,
    hidden,
    dropout,
    yRange,
    body,
    pretrained,
    normalize: normalizes = true,
    sha256,
    revision,
    ...learning
  } = options
  const unread = Object.entries({ sha256, revision }).find(([, value]) => value !== undefined)
  if (unread && (!pretrained || typeof pretrained === 'object')) {
    throw new OptionError('visionLearner', `${unread[0]} is that of weights that are read, and none are`, {
      given: { [unread[0]]: unread[1], pretrained: pretrained ? 'weights in memory' : 'none' },
      fix: 'name them: { pretrained: … }, or leave it out',
    })
  }
  const { platform } = loaders
  const { channels } = loaders.train
  // fastai's n_in: the network reads the channels that the images have.
  const bodyOptions = channels === 3 ? body : { channels, ...body }
  const sizes = { outputs, ...defined({ hidden, dropout, yRange, body: bodyOptions }) }
  const model = visionModel(backbone, sizes)
  const { firstGroup } = backbone.body({ ...bodyOptions })
  const groups: LearnerOptions['groups'] = (whole) => visionGroups(whole, firstGroup)
  if (!pretrained) return new VisionLearner(loaders, model, { ...learning, groups })

  const [{ readPretrained }, { loadWeights }] = await Promise.all([
    import('./files/pretrained.ts'),
    import('../nn/load-weights.ts'),
  ])
  const hub = { platform, ...defined({ sha256, revision }) }
  const read = typeof pretrained === 'object' ? pretrained : await readPretrained(sourceOf(pretrained, backbone), hub)
  const report = loadWeights(model, read.weights)
  platform.log(`${read.path}: ${report.text}`)
  const { config } = read
  const used = normalizes ? normalized(loaders, config.stats, read.path) : loaders
  const learner = new VisionLearner(used, model, { ...learning, groups })
  learner.pretrained = { report, config }
  learner.freeze()
  return learner
}

function sourceOf(pretrained: string | true, { name }: Backbone): string {
  if (typeof pretrained === 'string') return pretrained
  if (Object.hasOwn(pretrainedNames, name)) return pretrainedNames[name]
  throw new DataError('visionLearner', `no weights on the hub are known for ${name}`, {
    expected: Object.keys(pretrainedNames).join(', '),
    fix: 'name a file or a model: { pretrained: … }',
  })
}

/** Loaders that normalize: as they do, or as the weights expect. */
function normalized(loaders: Loaders, stats: ChannelStats | undefined, path: string): Loaders {
  const { train, valid, platform } = loaders
  const wanted = forChannels(stats ?? imagenetStats, train.channels)
  const own = train.batchTransforms.find(({ kind }) => kind === 'normalize')
  if (own) {
    if (stats && !sameStats(train.stats, wanted, SAME_STATS)) {
      platform.log(
        `warning: the loaders normalize with ${statsText(train.stats)}, but ${path} was trained with ${statsText(wanted)}`,
      )
    }
    return loaders
  }
  const source = stats ? 'as the weights were trained' : "ImageNet's, as the weights' file states none"
  platform.log(`images are normalized with ${statsText(wanted)} (${source})`)
  const batchTransforms = [...train.batchTransforms, normalize(wanted)]
  return new Loaders({
    ...loaders,
    train: train.with({ batchTransforms }),
    valid: valid.with({ batchTransforms: [...valid.batchTransforms, normalize(wanted)] }),
  })
}

/** Statistics of the colors, or of grey images their means. */
function forChannels({ mean, std }: ChannelStats, channels: 1 | 3): ChannelStats {
  if (mean.length === channels || channels === 3) return { mean, std }
  const average = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  return { mean: [average(mean)], std: [average(std)] }
}

/** The options that are given. */
function defined<Options extends object>(
  options: Options,
): { [Name in keyof Options]?: Exclude<Options[Name], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never
}
