import { OptionError } from './errors.ts'

/** @throws OptionError  when a file's name does not say what will be written to it, as `batch.jpg` does not of a PNG */
export function requireExtension(where: string, file: string, extension: '.png' | '.svg' | '.onnx'): void {
  if (file.toLowerCase().endsWith(extension)) return
  throw new OptionError(where, 'the name of the file says something else than what is written', {
    given: { file },
    expected: `a path that ends in ${extension}`,
  })
}
