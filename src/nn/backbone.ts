import type { Json } from '../base/json.ts'
import type { Init } from './init.ts'
import type { Sequential } from './sequential.ts'

/** A network without its head, for transfer learning. */
export interface Body {
  /** Layers before the global pool. x [N,H,W,channels] → [N,h,w,features] */
  readonly body: Sequential
  /** Channels of its output. */
  readonly features: number
  /** Layers of the body that form the first parameter group; the others form the second, and the head the last. */
  readonly firstGroup: number
  /** Stream of random numbers that the weights of a head continue. */
  readonly init: Init
}

/** A function that makes networks of one architecture, such as `resnet34`: whole, or without the head. */
export interface Backbone<Options extends object = object> {
  /** The whole network, with a head of `outputs` classes. */
  (options?: Options): Sequential
  /** Name of the architecture, which exported models refer to. */
  readonly name: string
  /** The network up to its global pool, its layers named by number as in fastai's `create_body`. */
  body(options?: Options): Body
}

/** Makes a backbone of its two parts; networks that it makes have it as their `architecture`. */
export function backbone<Options extends object>(
  name: string,
  make: { readonly whole: (options: Options) => Sequential; readonly body: (options: Options) => Body },
): Backbone<Options> {
  const whole = (options?: Options): Sequential => {
    const given = options ?? ({} as Options)
    const model = make.whole(given)
    model.architecture = { name, options: { ...given } as Json }
    return model
  }
  const body = (options?: Options): Body => make.body(options ?? ({} as Options))
  return Object.defineProperties(whole, { name: { value: name }, body: { value: body } }) as Backbone<Options>
}
