/**
 * Class names of Imagenette by folder. Source: its README, github.com/fastai/imagenette. A Map, because any text may be
 * looked up.
 */
const NAMES: ReadonlyMap<string, string> = new Map([
  ['n01440764', 'tench'],
  ['n02102040', 'English springer'],
  ['n02979186', 'cassette player'],
  ['n03000684', 'chain saw'],
  ['n03028079', 'church'],
  ['n03394916', 'French horn'],
  ['n03417042', 'garbage truck'],
  ['n03425413', 'gas pump'],
  ['n03445777', 'golf ball'],
  ['n03888257', 'parachute'],
])

/** Returns the English name of a class of Imagenette, or the label itself for others. */
export function className(label: string): string {
  return NAMES.get(label) ?? label
}
