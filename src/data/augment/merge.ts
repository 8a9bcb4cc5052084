/** Several transforms of one kind as the one that the launch applies, as fastai merges them (setup_aug_tfms). */
import { OptionError } from '../../base/errors.ts'
import { affine, type AffineTransform } from './affine.ts'
import { lighting, type LightingTransform } from './lighting.ts'

/**
 * Returns one transform that flips, rotates, zooms and tilts as several do.
 *
 * @throws OptionError  if two do the same, or they differ in an option that they share
 */
export function mergedAffine(transforms: readonly AffineTransform[]): AffineTransform | undefined {
  if (transforms.length < 2) return transforms[0]
  const part = (name: string, has: (transform: AffineTransform) => boolean) => only(name, transforms.filter(has))
  const flips = part('flips', (transform) => transform.flips !== 'none')
  const rotation = part('rotations', ({ maxRotate }) => maxRotate > 0)
  const zoom = part('zooms', ({ minZoom, maxZoom }) => minZoom !== 1 || maxZoom !== 1)
  const warp = part('warps', ({ maxWarp }) => maxWarp > 0)
  const size = same('size', transforms, (one) => one.size)
  return affine({
    flips: flips?.flips ?? 'none',
    pFlip: flips?.pFlip ?? 0.5,
    maxRotate: rotation?.maxRotate ?? 0,
    pRotate: rotation?.pRotate ?? rotation?.p ?? 0,
    minZoom: zoom?.minZoom ?? 1,
    maxZoom: zoom?.maxZoom ?? 1,
    pZoom: zoom?.pZoom ?? zoom?.p ?? 0,
    maxWarp: warp?.maxWarp ?? 0,
    pWarp: warp?.pWarp ?? warp?.p ?? 0,
    p: 0,
    batch: same('batch', transforms, ({ batch }) => batch) ?? false,
    size,
    padMode: same('padMode', transforms, ({ padMode }) => padMode) ?? 'reflection',
  })
}

/**
 * Returns one transform that changes brightness and contrast as several do.
 *
 * @throws OptionError  as `mergedAffine`
 */
export function mergedLighting(transforms: readonly LightingTransform[]): LightingTransform | undefined {
  if (transforms.length < 2) return transforms[0]
  const contrastOf = ({ maxLighting, maxContrast = maxLighting }: LightingTransform) => maxContrast
  const bright = only(
    'changes of brightness',
    transforms.filter(({ maxLighting }) => maxLighting > 0),
  )
  const contrast = only(
    'changes of contrast',
    transforms.filter((one) => contrastOf(one) > 0),
  )
  return lighting({
    maxLighting: bright?.maxLighting ?? 0,
    p: bright?.p ?? 0,
    maxContrast: contrast ? contrastOf(contrast) : 0,
    pContrast: contrast?.pContrast ?? contrast?.p ?? 0,
    batch: same('batch', transforms, ({ batch }) => batch) ?? false,
  })
}

function only<Transform>(name: string, transforms: readonly Transform[]): Transform | undefined {
  if (transforms.length < 2) return transforms[0]
  throw new OptionError('batch transforms', `there are two ${name}`, { fix: 'leave one out' })
}

/** Returns the one value of an option that transforms share; those that do not give it follow the others. */
function same<Transform, Value>(
  name: string,
  transforms: readonly Transform[],
  valueOf: (transform: Transform) => Value | undefined,
): Value | undefined {
  const values = transforms.map(valueOf).filter((value) => value !== undefined)
  const other = values.find((value) => String(value) !== String(values[0]))
  if (other === undefined) return values[0]
  throw new OptionError('batch transforms', `they are made in one launch and differ in ${name}`, {
    given: { [name]: `${String(values[0])} and ${String(other)}` },
    expected: 'one value, given to one of them or to each',
  })
}
