import { OptionError } from '../../base/errors.ts'
import type { Module } from '../../nn/module.ts'

const occupancies = new WeakMap<Module, Occupancy>()

/** Returns the occupancy of a model; learners of the same model share it. */
export function occupancyOf(model: Module): Occupancy {
  const known = occupancies.get(model)
  if (known) return known
  const made = new Occupancy()
  occupancies.set(model, made)
  return made
}

/**
 * Lock that serializes work on one model, also across learners: at most one fit, and evaluations one after the other.
 * During a fit, evaluations run only while the fit waits for a handler of an event between steps; the fit continues
 * when they are done.
 */
export class Occupancy {
  private fit: string | undefined
  private betweenSteps = false
  /** Number of evaluations that are running or waiting. */
  private evaluations = 0
  /** Promise that is fulfilled when the last evaluation is done. */
  private last: Promise<void> = Promise.resolve()

  /** @throws OptionError  during a fit */
  requireNoFit(where: string): void {
    if (this.fit === undefined) return
    const what = this.fit === 'lrFind' ? 'a search for a learning rate' : 'a fit'
    throw new OptionError(where, `${what} with this model is going on`, { fix: 'await it first' })
  }

  /** @throws OptionError  during a fit, unless it is waiting for a handler of an event between steps */
  requireFree(where: string): void {
    if (this.fit === undefined || this.betweenSteps) return
    throw new OptionError(where, 'a fit with this model is going on', {
      fix: 'await the fit first, or call it in a callback between steps, such as afterEpoch, and await it there',
    })
  }

  /**
   * Runs a fit after the evaluations that were requested before.
   *
   * @param where  name of the caller in errors
   * @throws OptionError  during another fit
   */
  async fits<Result>(where: string, work: () => Promise<Result>): Promise<Result> {
    this.requireNoFit(where)
    this.fit = where
    try {
      await this.last
      return await work()
    } finally {
      this.fit = undefined
    }
  }

  /**
   * Runs an evaluation after those that were requested before.
   *
   * @param where  name of the caller in errors
   * @throws OptionError  during a fit, unless it is waiting for a handler of an event between steps
   */
  async evaluates<Result>(where: string, work: () => Promise<Result>): Promise<Result> {
    this.requireFree(where)
    this.evaluations++
    const result = this.last.then(work)
    const done = () => void this.evaluations--
    this.last = result.then(done, done)
    return await result
  }

  /** Runs a handler between steps and waits for it and for the evaluations requested meanwhile. */
  async pauses(handler: () => void | Promise<void>): Promise<void> {
    this.betweenSteps = true
    try {
      await handler()
    } finally {
      while (this.evaluations > 0) await this.last
      this.betweenSteps = false
    }
  }

  /** True during a fit. */
  get fitting(): boolean {
    return this.fit !== undefined
  }
}
