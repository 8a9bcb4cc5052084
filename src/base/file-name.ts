import { OptionError } from './errors.ts'

/** Requires the extension of the format that is written. @throws OptionError  for another one, such as `batch.jpg` for a PNG */
export function requireExtension(where: string, file: string, extension: '.html' | '.png' | '.svg' | '.onnx'): void {
  if (file.toLowerCase().endsWith(extension)) return
  throw new OptionError(where, 'the extension does not match the format written', {
    given: { file },
    expected: `a path that ends in ${extension}`,
  })
}
