import { OptionError } from '../base/errors.ts'
import { formatBytes } from '../base/format.ts'
import { convertLearner, type Predictor } from '../exports/train.ts'
import { openGpuOn } from '../exports/gpu.ts'
import { nodePlatform } from '../node.ts'
import { parseCommand, whole } from './command.ts'
import { loadModel, modelPath } from './model.ts'
import { invocation, Output } from './output.ts'

export const SUMMARY = 'write a model for other programs (ONNX), or in half the size'

const USAGE = `wgrad export MODEL OUT [options]

Writes a model for other programs, or once more in half the size.

  MODEL      model.safetensors, or the folder of a run
  OUT        model.onnx: ONNX, opset 17, for ONNX Runtime and others: images [N,3,height,width] with values from 0 to 1 in,
             probabilities out, or of a model of numbers values; normalization is inside, the labels are in the metadata
             model.safetensors: for wgrad, PyTorch and others
  --f16      store weights in half precision: half the size
  --logits   ONNX: a second output with the numbers before the softmax (of several labels the sigmoid)
  --size N   ONNX: pixels a side of the input (as it was trained)
  --json     one JSON document on stdout: { model, file, bytes, precision, labels }
  --help

Exit code 0: written; 2: wrong options; 3: the model cannot be read, or the file cannot be written; 4: no graphics adapter.
`

const DEFINITION = {
  f16: { type: 'boolean' },
  logits: { type: 'boolean' },
  size: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

export async function main(argv: readonly string[]): Promise<void> {
  const help = `${invocation()} export --help`
  const { values, positionals } = parseCommand('export', argv, DEFINITION, { positionals: true, help })
  if (values.help) {
    console.log(USAGE)
    return
  }
  const [path, out, ...others] = positionals
  if (path === undefined || out === undefined || others.length > 0) {
    throw new OptionError('export', 'a model and the file to write are needed', { fix: `\`${help}\` explains its use` })
  }
  const onnx = /\.onnx$/i.test(out)
  if (!onnx && !/\.safetensors$/i.test(out)) {
    throw new OptionError('export', 'the suffix of the file says nothing about its format', {
      given: { OUT: out },
      expected: 'a name that ends in .onnx or .safetensors',
    })
  }
  const onlyOnnx = (['logits', 'size'] as const).find((name) => values[name] !== undefined)
  if (!onnx && onlyOnnx !== undefined) {
    throw new OptionError(`--${onlyOnnx}`, 'this is an option of ONNX files', { given: { OUT: out } })
  }
  const size = values.size === undefined ? {} : { size: whole('--size', values.size, 8, 4096) }
  const precision = values.f16 ? 'f16' : 'f32'
  const output = new Output(values.json ?? false)
  const { platform } = output
  const gpu = await openGpuOn(platform)
  try {
    const predictor: Predictor = await loadModel(platform, path)
    if (onnx) await predictor.exportOnnx(out, { precision, logits: values.logits ?? false, ...size })
    else await convertLearner(await modelPath(platform, path), out, { platform, precision })
    const bytes = (await platform.files.read(out)).length
    output.say(`written: ${out}, ${formatBytes(bytes)}, weights in ${precision}`)
    output.document({ model: path, file: out, bytes, precision, labels: [...predictor.vocab] })
  } finally {
    await nodePlatform.decoder.close()
    gpu.close()
  }
}
