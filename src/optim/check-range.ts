import { OptionError } from '../base/errors.ts'

/** @throws OptionError about the first of what is given, unless it is right */
export function checkRange(
  where: string,
  given: Readonly<Record<string, unknown>>,
  right: boolean,
  expected: string,
): void {
  if (!right) throw new OptionError(where, `${Object.keys(given)[0]} is out of range`, { given, expected })
}
