import { OptionError } from '../base/errors.ts'
import type { Module } from '../nn/module.ts'
import type { Parameter } from '../nn/parameter.ts'

/** Divides the parameters of a model into groups that share hyper-parameters, in the order of the network. */
export type Groups = (model: Module) => readonly (readonly Parameter[])[]

/** @throws OptionError  unless every parameter of the model is in one group: what is in none would never be trained */
export function parameterGroups(model: Module, groupsOf: Groups): readonly (readonly Parameter[])[] {
  const groups = groupsOf(model)
  const all = new Set(model.parameters())
  const grouped = groups.flat()
  const strangers = grouped.filter((parameter) => !all.has(parameter)).length
  const once = new Set(grouped)
  if (strangers === 0 && once.size === grouped.length && once.size === all.size) return groups
  throw new OptionError('groups', 'not every parameter of the model is in one group', {
    given: {
      parameters: all.size,
      'in no group': [...all].filter((parameter) => !once.has(parameter)).length,
      'in several': grouped.length - once.size,
      'not of this model': strangers,
    },
    fix: 'put those that are not to be trained into a group of their own, and freeze it: freezeTo(1)',
  })
}
