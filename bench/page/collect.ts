/** A file that a visitor gave, with the name of the folder that it lay in. */
export interface Given {
  readonly name: string
  readonly label: string | undefined
  readonly file: Blob
}

const IMAGE = /\.(avif|bmp|gif|heic|heif|jfif|jpe|jpeg|jpg|png|tiff?|webp)$/i
const ZIP = /\.zip$/i

/** Images of a list of files, of the folders that a browser names them by, and of zips among them. */
export async function ofFiles(files: Iterable<File>): Promise<Given[]> {
  const given: Given[] = []
  for (const file of files) given.push(...(await ofPath(file.webkitRelativePath || file.name, file)))
  return given
}

/** Images of what was dropped: files, folders, zips. */
export async function ofDrop({ items, files }: DataTransfer): Promise<Given[]> {
  // Entries are gone after the event, so all are asked for at once.
  const entries = Array.from(items, (item) => item.webkitGetAsEntry()).filter((entry) => entry !== null)
  if (entries.length === 0) return ofFiles(files)
  const given: Given[] = []
  for (const entry of entries) given.push(...(await ofEntry(entry, '')))
  return given
}

async function ofEntry(entry: FileSystemEntry, folder: string): Promise<Given[]> {
  const path = `${folder}${entry.name}`
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))
    return ofPath(path, file)
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader()
  const given: Given[] = []
  for (;;) {
    // A hundred at a time, until there are none.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
    if (some.length === 0) return given
    for (const below of some) given.push(...(await ofEntry(below, `${path}/`)))
  }
}

async function ofPath(path: string, file: Blob): Promise<Given[]> {
  if (ZIP.test(path)) return ofZip(file)
  const parts = path.split('/')
  const name = parts.at(-1) ?? ''
  if (!IMAGE.test(name) || parts.some((part) => part.startsWith('.') || part === '__MACOSX')) return []
  return [{ name, label: parts.at(-2), file }]
}

async function ofZip(zip: Blob): Promise<Given[]> {
  const { unzip } = await import('fflate')
  const bytes = new Uint8Array(await zip.arrayBuffer())
  const entries = await new Promise<Record<string, Uint8Array>>((resolve, reject) =>
    // Another thread unpacks.
    unzip(bytes, { filter: ({ name }) => IMAGE.test(name) }, (error, files) =>
      error ? reject(error) : resolve(files),
    ),
  )
  const given: Given[] = []
  for (const [path, content] of Object.entries(entries)) {
    given.push(...(await ofPath(path, new Blob([content as Uint8Array<ArrayBuffer>]))))
  }
  return given
}
