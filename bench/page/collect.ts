import { collectFiles, OptionError, type PageSource } from 'wgrad/browser'
import { isolated } from './dom.ts'

/** A file that a visitor gave, with the name of the folder that it lay in. */
export interface Given {
  readonly name: string
  readonly label: string | undefined
  readonly file: Blob
}

const IMAGE = /\.(avif|bmp|gif|heic|heif|jfif|jpe|jpeg|jpg|png|tiff?|webp)$/i
const ZIP = /\.zip$/i

/**
 * Images of what a visitor chose or dropped: files, folders, and zips among them. A drop has to be handed over while its
 * event is handled.
 */
export async function imagesOf(source: PageSource): Promise<Given[]> {
  const files = await collectFiles(source).catch((error: unknown) => {
    // A folder without files, or a text that was dropped.
    if (error instanceof OptionError) return []
    throw error
  })
  const given: Given[] = []
  for (const [path, file] of files) given.push(...(await ofPath(path, file)))
  return given
}

async function ofPath(path: string, file: Blob): Promise<Given[]> {
  const parts = path.split('/')
  const name = parts.at(-1) ?? ''
  // macOS writes a hidden file beside each file of a zip or a disk: ._a.zip, ._a.jpg.
  if (parts.some((part) => part.startsWith('.') || part === '__MACOSX')) return []
  if (ZIP.test(name)) return ofZip(name, file)
  return IMAGE.test(name) ? [{ name, label: parts.at(-2), file }] : []
}

/** @throws Error  in words for the visitor */
async function ofZip(archive: string, zip: Blob): Promise<Given[]> {
  const { unzip } = await import('fflate')
  const bytes = new Uint8Array(await zip.arrayBuffer())
  const entries = await new Promise<Record<string, Uint8Array>>((resolve, reject) =>
    // Another thread unpacks.
    unzip(bytes, { filter: ({ name }) => IMAGE.test(name) }, (error, files) =>
      error
        ? reject(
            new Error(`${isolated(archive)} is damaged, or no zip. Unpack it, and drop its folder.`, { cause: error }),
          )
        : resolve(files),
    ),
  )
  const given: Given[] = []
  for (const [path, content] of Object.entries(entries)) {
    given.push(...(await ofPath(path, new Blob([content as Uint8Array<ArrayBuffer>]))))
  }
  return given
}
