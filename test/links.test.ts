import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

const papers = ['', 'bench', 'bench/peers', 'bench/results', 'shaders', 'test'].flatMap((folder) =>
  readdirSync(join(root, folder)).flatMap((name) => (name.endsWith('.md') ? [join(folder, name)] : [])),
)
const textOf = (file: string) => readFileSync(join(root, file), 'utf8').replaceAll(/^```[^]*?^```/gm, '')

/** Anchors of the headings of a file, as GitHub makes them. */
function anchorsOf(file: string): string[] {
  return [...textOf(file).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/** True if a link of a file leads to a file of the project, and to a heading of it where it names one. */
function resolves(file: string, link: string): boolean {
  const [path, anchor] = link.split('#')
  const target = path === '' ? file : join(dirname(file), path)
  return existsSync(join(root, target)) && (anchor === undefined || anchorsOf(target).includes(anchor))
}

test('links between the papers lead to files and headings that are there', () => {
  const links = papers.flatMap((file) =>
    [...textOf(file).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, link]) => ({ file, link })),
  )
  expect(links.length).toBeGreaterThan(100)
  expect(links.filter(({ file, link }) => !resolves(file, link))).toEqual([])
  expect(resolves('README.md', '#how-it-was-built')).toBe(false)
  expect(resolves('README.md', 'test/no-such.md')).toBe(false)
})
