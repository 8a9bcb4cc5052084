import { DataError } from '../base/errors.ts'

/** @throws DataError  when labels are measurements: a classifier would learn each value as a class of its own */
export function requireClasses(labels: readonly string[]): void {
  if (!labels.every(isNumber)) return
  const fraction = labels.find((label) => !Number.isInteger(Number(label)))
  if (fraction === undefined) return
  throw new DataError('data set', 'the labels are numbers with fractions, which are values rather than classes', {
    given: { label: fraction, different: labels.length },
    expected: 'names of classes',
    fix: 'to learn the values, take a RegressionBlock(); where they are classes, list them: CategoryBlock({ vocab })',
  })
}

/** True for a label that is the text of a number. */
export function isNumber(label: string): boolean {
  return label.trim() !== '' && Number.isFinite(Number(label))
}
