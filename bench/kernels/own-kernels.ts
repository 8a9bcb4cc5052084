import { existsSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { OptionError } from '../../src/base/errors.ts'
import { ownKernels } from '../../src/ops/convolution/families.ts'

/**
 * Loads a module that registers convolution kernels of its own.
 *
 * @throws OptionError  if there is no such module, it cannot be loaded, or it registers none here
 */
export async function loadOwnKernels(file: string): Promise<void> {
  const given = { '--own': file }
  if (!existsSync(file)) throw new OptionError('bench', 'there is no such module', { given })
  try {
    await import(pathToFileURL(file).href)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new OptionError('bench', 'the module cannot be loaded', { given: { ...given, reason }, cause })
  }
  if (ownKernels.length > 0) return
  throw new OptionError('bench', 'the module registers no convolution kernel here', {
    given,
    expected: 'a call of registerConvolutionKernel of wgrad/gpu',
    fix: 'keep the file within the clone: elsewhere its wgrad is another copy of the package',
  })
}
