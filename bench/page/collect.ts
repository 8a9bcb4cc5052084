import { collectFiles, OptionError, type PageSource } from 'wgrad/browser'
import { isolated } from './dom.ts'

/** A file that a visitor gave, with the name of the folder that it lay in. */
export interface Given {
  readonly name: string
  readonly label: string | undefined
  /** Its contents, or the reason in words for the visitor why there are none. */
  readonly file: Blob | Error
}

const IMAGE = /\.(avif|bmp|gif|heic|heif|jfif|jpe|jpeg|jpg|png|tiff?|webp)$/i
const ZIP = /\.zip$/i
/** Order of names as people count: class 9 before class 10. */
const { compare } = new Intl.Collator('en', { numeric: true })

/**
 * Images of what a visitor chose or dropped: files, folders, and zips among them, in the order of their names, as a disk has
 * them in any. A drop has to be handed over while its event is handled.
 */
export async function imagesOf(source: PageSource): Promise<Given[]> {
  const files = await collectFiles(source).catch((error: unknown) => {
    // A folder without files, or a text that was dropped.
    if (error instanceof OptionError) return []
    throw error
  })
  const given: Given[] = []
  for (const [path, file] of files) given.push(...(await ofPath(path, file)))
  return given.sort((a, b) => compare(a.label ?? '', b.label ?? '') || compare(a.name, b.name))
}

async function ofPath(path: string, file: Blob): Promise<Given[]> {
  const parts = path.split('/')
  const name = parts.at(-1) ?? ''
  // macOS writes a hidden file beside each file of a zip or a disk: ._a.zip, ._a.jpg.
  if (parts.some((part) => part.startsWith('.') || part === '__MACOSX')) return []
  if (ZIP.test(name)) return ofZip(name, file)
  return IMAGE.test(name) ? [{ name, label: parts.at(-2), file }] : []
}

/** Images of a zip, or the zip itself with what is wrong with it. */
async function ofZip(archive: string, zip: Blob): Promise<Given[]> {
  const { unzip } = await import('fflate')
  const bytes = new Uint8Array(await zip.arrayBuffer())
  const entries = await new Promise<Record<string, Uint8Array> | undefined>((resolve) =>
    // Another thread unpacks.
    unzip(bytes, { filter: ({ name }) => IMAGE.test(name) }, (error, files) => resolve(error ? undefined : files)),
  )
  if (!entries) {
    const file = new Error(`${isolated(archive)} is damaged, or no zip. Unpack it, and drop its folder.`)
    return [{ name: archive, label: undefined, file }]
  }
  const given: Given[] = []
  for (const [path, content] of Object.entries(entries)) {
    given.push(...(await ofPath(path, new Blob([content as Uint8Array<ArrayBuffer>]))))
  }
  return given
}
