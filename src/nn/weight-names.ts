/**
 * Names that other libraries have for the weights of the networks here.
 *
 *   timm resnet*d                          xresnet* here and in fastai
 *   conv1.0.weight, conv1.1.*              0.0.weight, 0.1.*
 *   conv1.3.weight, conv1.4.*              1.0.weight, 1.1.*
 *   conv1.6.weight, bn1.*                  2.0.weight, 2.1.*
 *   layerS.B.convK.weight                  {S+3}.B.convpath.{K−1}.0.weight
 *   layerS.B.bnK.*                         {S+3}.B.convpath.{K−1}.1.*
 *   layerS.0.downsample.1.weight, .2.*     {S+3}.0.idpath.P.0.weight, .P.1.*     P = 1 where S > 1, else 0
 *   fc.*                                   11.*
 *
 * Source: timm models/resnet.py, ResNet with stem_type='deep' and avg_down=True; fastai vision/models/xresnet.py, XResNet.
 */
import { OptionError } from '../base/errors.ts'
import type { StateDict } from './state-dict.ts'

/** A name under another convention; `undefined` for a name that the convention does not have. */
export type Renaming = (name: string) => string | undefined

/** Rules in the notation of String.replace: the first that matches a name makes the new one. */
type Rules = readonly (readonly [pattern: RegExp, name: string | ((...parts: string[]) => string)])[]

const TO_TIMM: Rules = [
  [/^0\.0\./, 'conv1.0.'],
  [/^0\.1\./, 'conv1.1.'],
  [/^1\.0\./, 'conv1.3.'],
  [/^1\.1\./, 'conv1.4.'],
  [/^2\.0\./, 'conv1.6.'],
  [/^2\.1\./, 'bn1.'],
  [/^([4-7])\.(\d+)\.convpath\.([0-2])\.0\./, (_, stage, block, k) => `layer${+stage - 3}.${block}.conv${+k + 1}.`],
  [/^([4-7])\.(\d+)\.convpath\.([0-2])\.1\./, (_, stage, block, k) => `layer${+stage - 3}.${block}.bn${+k + 1}.`],
  [
    /^(?:(4)\.0\.idpath\.0|([5-7])\.0\.idpath\.1)\.([01])\./,
    (_, first, later, part) => {
      return `layer${+(first ?? later) - 3}.0.downsample.${+part + 1}.`
    },
  ],
  [/^11\.(?=weight$|bias$)/, 'fc.'],
]

const FROM_TIMM: Rules = [
  [/^conv1\.0\./, '0.0.'],
  [/^conv1\.1\./, '0.1.'],
  [/^conv1\.3\./, '1.0.'],
  [/^conv1\.4\./, '1.1.'],
  [/^conv1\.6\./, '2.0.'],
  [/^bn1\./, '2.1.'],
  [/^layer([1-4])\.(\d+)\.conv([1-3])\./, (_, stage, block, k) => `${+stage + 3}.${block}.convpath.${+k - 1}.0.`],
  [/^layer([1-4])\.(\d+)\.bn([1-3])\./, (_, stage, block, k) => `${+stage + 3}.${block}.convpath.${+k - 1}.1.`],
  [
    /^layer([1-4])\.0\.downsample\.([12])\./,
    (_, stage, part) => {
      return `${+stage + 3}.0.idpath.${stage === '1' ? 0 : 1}.${+part - 1}.`
    },
  ],
  [/^fc\.(?=weight$|bias$)/, '11.'],
]

/** torchvision's resnets to the body of a `visionModel`, and their head to where it has another one. */
const TO_NUMBERS: Rules = [
  [/^conv1\.(?=weight$)/, '0.0.'],
  [/^bn1\./, '0.1.'],
  [/^layer([1-4])\./, (_, stage) => `0.${+stage + 3}.`],
  [/^fc\./, '1.fc.'],
]

function renaming(rules: Rules): Renaming {
  return (name) => {
    const rule = rules.find(([pattern]) => pattern.test(name))
    return rule && name.replace(rule[0], rule[1] as string)
  }
}

/** Name of an xresnet's weight in timm's `resnet18d … 152d`. */
export const toTimm = renaming(TO_TIMM)
/** Name in an xresnet of a weight of timm's `resnet18d … 152d`. */
export const fromTimm = renaming(FROM_TIMM)

/** Name of a whole xresnet's weight in a `visionModel`: its linear layer goes to where the model has another head. */
const intoBody: Renaming = (name) => (/^\d+\.(weight|bias)$/.test(name) ? `1.${name}` : `0.${name}`)

/** Every way to read names that a file may have, the first being its own. */
export const RENAMINGS: readonly Renaming[] = [
  (name) => name,
  fromTimm,
  renaming(TO_NUMBERS),
  intoBody,
  (name) => {
    const own = fromTimm(name)
    return own && intoBody(own)
  },
]

/**
 * Weights of an xresnet under timm's names, so that timm's `resnet18d … 152d` load them as they are.
 *
 * @throws OptionError  that lists names which timm's networks do not have
 */
export function timmNames(weights: StateDict): StateDict {
  const strangers = [...weights.keys()].filter((name) => toTimm(name) === undefined)
  if (strangers.length > 0) {
    throw new OptionError('timmNames', 'timm has no names for these weights', {
      given: { names: strangers.slice(0, 5).join(' '), 'in all': strangers.length },
      expected: 'weights of xresnet18, 34, 50, 101 or 152',
    })
  }
  return new Map([...weights].map(([name, entry]) => [toTimm(name) ?? name, entry]))
}
