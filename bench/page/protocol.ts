/** Conversation of the page with its training worker: calls with one answer each, and events in between. */

import type { CleaningItem } from 'wgrad/data'

/** Facts about the open adapter. */
export interface AdapterFacts {
  readonly name: string
  readonly software: boolean
  readonly timestamps: boolean
  readonly features: readonly string[]
}

/** Which learner an event or a call is about: that of the bundled pictures, or that of the visitor's own. */
export type Part = 'first' | 'own'

/** One picture that the page shows, with its true label. */
export interface Shown {
  readonly path: string
  readonly label: string
  readonly picture: Blob
}

export interface Guess {
  readonly label: string
  readonly probability: number
}

/** Events that a fit sends while it goes on. */
export type TrainingEvent =
  | { readonly kind: 'phase'; readonly part: Part; readonly phase: Phase; readonly text: string }
  | { readonly kind: 'planned'; readonly part: Part; readonly steps: number; readonly epochs: number }
  | { readonly kind: 'step'; readonly part: Part; readonly loss: number; readonly rate: number | undefined }
  | {
      readonly kind: 'epoch'
      readonly part: Part
      readonly epoch: number
      readonly epochs: number
      readonly trainLoss: number
      readonly validLoss: number
      readonly accuracy: number
      /** Images per second of the epoch's training. */
      readonly rate: number
      readonly saved: Saved
    }
  | { readonly kind: 'shown'; readonly part: Part; readonly shown: readonly Shown[]; readonly vocab: readonly string[] }
  | { readonly kind: 'guesses'; readonly part: Part; readonly guesses: readonly Guess[] }
  | { readonly kind: 'lost'; readonly part: Part }

/** A training as it is after an epoch, which outlasts the GPU and the worker that it ran on. */
export interface Saved {
  /** Weights, and what the optimizer remembers, as `learner.save` writes them. */
  readonly bytes: Uint8Array
  readonly epochsLeft: number
}

export type Phase = 'preparing' | 'compiling' | 'training' | 'stopped' | 'finished'

/** Pictures of the visitor, and how to train on them. */
export interface OwnRequest {
  readonly pictures: readonly { readonly path: string; readonly picture: Blob }[]
  readonly epochs: number
  readonly size: number
  readonly pretrained: boolean
}

/** A model that can be tried and saved from now on, as a safetensors file. */
export interface ModelEvent {
  readonly kind: 'model'
  readonly bytes: Uint8Array
  /** True if it was trained here, and is nowhere else yet. */
  readonly unsaved: boolean
}

export interface Answer {
  /** The label, or labels, or numbers that the model says. */
  readonly label: string
  /** The likeliest labels, the likeliest first; none where it says numbers. */
  readonly top: readonly Guess[]
}

export interface Explanation {
  readonly label: string
  readonly overlay: { readonly width: number; readonly height: number; readonly data: Uint8Array }
}

/** A picture whose label may be wrong. */
export type Suspect = Omit<CleaningItem, 'action' | 'to'>

/** Results on the visitor's validation pictures, and the hardest of all pictures. */
export interface Results {
  readonly vocab: readonly string[]
  readonly accuracy: number
  readonly confusion: readonly (readonly number[])[]
  /** Pictures with the largest losses, the largest first. */
  readonly hardest: readonly Suspect[]
}

export interface LayerFacts {
  readonly name: string
  readonly kind: string
  readonly shape: string
  readonly parameters: number
  readonly flops: number
}

/** Calls that the worker answers. */
export interface Calls {
  open(base: string): AdapterFacts
  /** Trains on the bundled pictures, or goes on with what was saved of that; answers when the fit has ended. */
  first(saved?: Saved): void
  /** Goes on with a fit that was stopped, or trains for some epochs more. */
  more(part: Part, epochs: number): void
  /** Stops the training of a part, or of both: one that goes on ends within a step. */
  stop(only?: Part): void
  /** True if the page ships pretrained weights. */
  pretrained(): boolean
  own(request: OwnRequest, saved?: Saved): void
  predict(image: ImageBitmap): Answer
  /** Where the model looks (Grad-CAM): the image below a heat map. */
  explain(image: ImageBitmap): Explanation
  results(): Results
  /** Moves a picture to another class, or into the trash where no class is given. @returns its new path */
  clean(path: string, to?: string): string
  exported(format: 'safetensors' | 'onnx'): Uint8Array
  openModel(bytes: Uint8Array, unsaved?: boolean): void
  /** Keeps the model in the browser's own files (OPFS). @returns its name there, which is a new one if that one is taken */
  keep(name: string): string
  kept(): readonly string[]
  openKept(name: string): void
  forget(name: string): void
  layers(): readonly LayerFacts[]
}

export type Request = { readonly id: number; readonly call: keyof Calls; readonly args: readonly unknown[] }
export type Reply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string; readonly lost: boolean }
  | { readonly event: TrainingEvent | ModelEvent }

type Asked<Call extends (...args: never[]) => unknown> = (...args: Parameters<Call>) => Promise<ReturnType<Call>>
export type Trainer = { readonly [Name in keyof Calls]: Asked<Calls[Name]> }
