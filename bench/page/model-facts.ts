/** Facts that a file of a model states. */
import { readSafetensors, type Architecture } from 'wgrad/nn'
import type { VisionLearnerOptions } from 'wgrad/train'

/** Architecture of a network without its head. */
export interface Body {
  readonly backbone: string
  readonly body: NonNullable<VisionLearnerOptions['body']>
}

/** Metadata that `learner.export` writes into a file of weights: labels, architecture, transforms. */
function metadataOf(bytes: Uint8Array): Record<string, unknown> {
  const { metadata } = readSafetensors('weights', bytes)
  return JSON.parse(metadata['wgrad'] ?? '{}') as Record<string, unknown>
}

/** @throws Error  for a file that is no model, in words for the visitor */
export function requireModel(bytes: Uint8Array): void {
  let cause: unknown
  try {
    if (metadataOf(bytes)['vocab'] !== undefined) return
  } catch (error) {
    cause = error
  }
  throw new Error('This file is not a model that this page, or learner.export, has written, or it is damaged.', {
    cause,
  })
}

/** Architecture of the body in a file of weights, which is that of a whole network or of one for transfer learning. */
export function bodyIn(bytes: Uint8Array): Body {
  const { architecture } = metadataOf(bytes) as { architecture?: Architecture }
  if (architecture === undefined) return { backbone: 'xresnet18', body: {} }
  const { name, options } = architecture
  const {
    backbone = name,
    body,
    outputs: _outputs,
    ...whole
  } = options as { backbone?: string; outputs?: number } & Partial<Body>
  return { backbone, body: body ?? whole }
}
