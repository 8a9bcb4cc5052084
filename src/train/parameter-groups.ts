import { OptionError } from '../base/errors.ts'
import type { Module } from '../nn/module.ts'
import type { Parameter } from '../nn/parameter.ts'
import type { Optimizer } from '../optim/optimizer.ts'

/**
 * Function that divides the parameters of a model into groups with their own hyperparameters, in the order of the
 * network.
 */
export type Groups = (model: Module) => readonly (readonly Parameter[])[]

/**
 * Divides the parameters of a model into groups.
 *
 * @throws OptionError  unless every parameter is in exactly one group: one in no group would never be trained
 */
export function parameterGroups(model: Module, groupsOf: Groups): readonly (readonly Parameter[])[] {
  const groups = groupsOf(model)
  const all = new Set(model.parameters())
  const grouped = groups.flat()
  const strangers = grouped.filter((parameter) => !all.has(parameter)).length
  const once = new Set(grouped)
  if (strangers === 0 && once.size === grouped.length && once.size === all.size) return groups
  throw new OptionError('groups', 'every parameter of the model must be in exactly one group', {
    given: {
      parameters: all.size,
      'in no group': [...all].filter((parameter) => !once.has(parameter)).length,
      'in several': grouped.length - once.size,
      'not of this model': strangers,
    },
    fix: 'collect parameters that are not to be trained in a group of their own and freeze it: freezeTo(1)',
  })
}

/** Freezes the parameter groups before number n (a negative n counts from the end) and clears the optimizer's state. */
export function freezeGroups(optimizer: Optimizer, n: number): void {
  optimizer.freezeTo(n)
  optimizer.clearState()
}
