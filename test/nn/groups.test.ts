import { expect, test } from 'vitest'
import { xresnet18, xresnet50Deep, xresnetGroups } from '../../src/nn/xresnet.ts'
import { tinyModel } from '../helpers/tiny.ts'

test.each([xresnet18, xresnet50Deep])('stem, stages and head, each parameter once and in order', (make) => {
  const model = make({ outputs: 10 })
  const groups = xresnetGroups(model)
  const paths = groups.map((group) => group.map(({ path }) => path))
  expect(groups.flat()).toEqual(model.parameters())
  expect(paths[0]).toHaveLength(9)
  expect(paths[0].every((path) => /^[012]\./.test(path))).toBe(true)
  expect(paths[1][0]).toBe('4.0.convpath.0.0.weight')
  expect(paths[2].map((path) => path.split('.')[1])).toEqual(['weight', 'bias'])
})

test('what is no xresnet is refused', () => {
  expect(() => xresnetGroups(tinyModel())).toThrow('xresnetGroups: the model is not an xresnet')
})
