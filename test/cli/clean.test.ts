import { posix, win32 } from 'node:path'
import { expect, test } from 'vitest'
import { placed } from '../../src/cli/clean.ts'

test('an image of a list is one from here where that leads into the folder, otherwise one below it', () => {
  const here = process.cwd()
  expect(placed(`${here}/photos`, 'photos/cat/1.jpg', posix)).toBe(`${here}/photos/cat/1.jpg`)
  expect(placed(`${here}/photos`, 'cat/1.jpg', posix)).toBe(`${here}/photos/cat/1.jpg`)
  expect(placed(`${here}/photos`, '..cat/1.jpg', posix)).toBe(`${here}/photos/..cat/1.jpg`)
  expect(placed('/photos', '/elsewhere/1.jpg', posix)).toBe('/elsewhere/1.jpg')
  expect(placed('/', `${here}/cat/1.jpg`, posix)).toBe(`${here}/cat/1.jpg`)
})

test('on Windows in a drive, in another one, and in a folder whose name differs by the case of letters', () => {
  expect(placed('E:\\', 'cat\\1.jpg', win32)).toBe('E:\\cat\\1.jpg')
  expect(placed('E:\\', 'E:\\cat\\1.jpg', win32)).toBe('E:\\cat\\1.jpg')
  expect(placed('C:\\Photos', 'c:\\photos\\cat\\1.jpg', win32)).toBe('C:\\Photos\\cat\\1.jpg')
  expect(placed('C:\\photos', 'D:\\photos\\cat\\1.jpg', win32)).toBe('D:\\photos\\cat\\1.jpg')
})
