import { OptionError } from '../../base/errors.ts'
import type { Module } from '../../nn/module.ts'

const occupancies = new WeakMap<Module, Occupancy>()

/** The one of a model. */
export function occupancyOf(model: Module): Occupancy {
  const known = occupancies.get(model)
  if (known) return known
  const made = new Occupancy()
  occupancies.set(model, made)
  return made
}

/**
 * Keeps apart the work on one model, of however many learners: one fit at a time, and evaluations one after the other. During a fit there are evaluations only while it waits for a handler of an event between steps, and the fit
 * goes on when they are done.
 */
export class Occupancy {
  private fit: string | undefined
  private betweenSteps = false
  /** Evaluations going on or waiting. */
  private evaluations = 0
  /** Fulfilled when the last of them is done. */
  private last: Promise<void> = Promise.resolve()

  /** @throws OptionError  while a fit goes on */
  requireNoFit(where: string): void {
    if (this.fit === undefined) return
    const what = this.fit === 'lrFind' ? 'a search for a learning rate' : 'a fit'
    throw new OptionError(where, `${what} with this model is going on`, { fix: 'await it before' })
  }

  /** @throws OptionError  while a fit goes on and does not wait for a handler */
  requireFree(where: string): void {
    if (this.fit === undefined || this.betweenSteps) return
    throw new OptionError(where, 'a fit with this model is going on', {
      fix: 'await the fit before, or call it in a callback between steps, such as afterEpoch, and await it there',
    })
  }

  /** Does the work of a fit, after the evaluations that were asked for before. @throws OptionError  while another one goes on */
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

  /** Does the work of an evaluation when its turn comes. @throws OptionError  as `requireFree` */
  async evaluates<Result>(where: string, work: () => Promise<Result>): Promise<Result> {
    this.requireFree(where)
    this.evaluations++
    const result = this.last.then(work)
    const done = () => void this.evaluations--
    this.last = result.then(done, done)
    return await result
  }

  /** Waits for a handler between steps, and for the evaluations that were asked for meanwhile. */
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
