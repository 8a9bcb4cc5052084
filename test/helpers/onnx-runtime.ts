import * as ort from 'onnxruntime-web'

// Threads would outlive the test.
ort.env.wasm.numThreads = 1

/** Outputs that ONNX Runtime computes of images, [N,C,H,W] in 0…1. */
export async function runOnnx(
  bytes: Uint8Array,
  images: Float32Array,
  shape: readonly number[],
): Promise<Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>> {
  const session = await ort.InferenceSession.create(bytes)
  try {
    const outputs = await session.run({ image: new ort.Tensor('float32', images, shape) })
    return Object.fromEntries(
      Object.entries(outputs).map(([name, { dims, data }]) => [name, { shape: dims, data: data as Float32Array }]),
    )
  } finally {
    await session.release()
  }
}
