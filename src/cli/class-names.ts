/** Class names of Imagenette by folder. Source: its README, github.com/fastai/imagenette. A map, since any text may be asked for. */
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

/** The name of a class as people say it, where the folder has only a number. */
export function className(label: string): string {
  return NAMES.get(label) ?? label
}
