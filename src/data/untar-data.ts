import { DataError, OptionError } from '../base/errors.ts'
import { formatBytes, formatClock, formatRate, formatTime } from '../base/format.ts'
import { ANY, checkArgument, checkOptions, FLAG, FUNCTION, PATH } from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import type { ArchiveCheck, Datasets, DownloadOptions, OnBytes, Platform } from '../platform/platform.ts'
import { archiveChecks } from './urls.ts'

/** Options of `untarData`. */
export interface UntarOptions {
  /** Fetch and unpack again what is already there. Default false. */
  readonly force?: boolean
  /** The folder that holds `archive/` and `data/`. Default: the setting `FASTAI_HOME`, otherwise `~/.fastai`. */
  readonly home?: string
  /** Size and hashes that the archive must have. Default: those of `archiveChecks`; an archive that is not listed there is not checked. */
  readonly expected?: ArchiveCheck
  /** Called with the progress of downloading and unpacking, in place of lines in the terminal. */
  readonly onBytes?: (what: 'download' | 'extract', ...bytes: Parameters<OnBytes>) => void
  /** Silence after which a connection is made again, and the pause before the second try. Default 30,000 and 1,000 ms */
  readonly patience?: Pick<DownloadOptions, 'stallMs' | 'pauseMs'>
  /** Default: that of the open GPU. */
  readonly platform?: Platform
}

/**
 * The folder of a data set, fetched and unpacked when it is not there yet.
 *
 *   <home>/data/imagenette2            is returned as it is when it exists
 *   <home>/archive/imagenette2.tgz     is unpacked when it exists and is the expected one, otherwise fetched first
 *
 * Both folders are shared with fastai: what one has fetched, the other finds.
 *
 * @param url  one of `urls`, or any .tgz
 * @returns    the path of the folder
 * @throws DataError  when the archive cannot be fetched, is not the expected one or cannot be unpacked
 *
 * Source: fastai data/external.py, untar_data; fastdownload, FastDownload.get.
 */
export async function untarData(url: string, options: UntarOptions = {}): Promise<string> {
  checkArgument('untarData', 'url', url, PATH)
  checkOptions('untarData', options, {
    force: FLAG,
    home: PATH,
    expected: ANY,
    onBytes: FUNCTION,
    patience: ANY,
    platform: ANY,
  })
  const platform = options.platform ?? currentGpu().platform
  const { files } = platform
  const fileName = /([^/?#]+\.(?:tgz|tar\.gz))(?:[?#].*)?$/.exec(url)?.[1]
  if (fileName === undefined) {
    const expected = 'one of `urls`, or the address of a .tgz'
    throw new OptionError('untarData', 'this is not the address of an archive', { given: { url }, expected })
  }
  const home = await dataHome(platform, options.home)
  const folder = files.join(home.data, fileName.replace(/\.(tgz|tar\.gz)$/, ''))
  if (options.force !== true && (await files.exists(folder))) return folder

  const store = datasetsOf(platform)
  const archive = files.join(home.archive, fileName)
  const expected = options.expected ?? archiveChecks.get(url)
  const onWait = (holder: string) => platform.log(`${holder} is at work on ${fileName}: waiting for it`)
  const tell = options.onBytes
  await store.exclusively(
    folder,
    async () => {
      // Another process may have brought it meanwhile.
      if (options.force !== true && (await files.exists(folder))) return
      await store.exclusively(
        archive,
        async () => {
          if (options.force !== true && (await isExpected(platform, archive, expected))) return
          const progress = new TransferProgress(platform, `downloading ${fileName}`)
          const onBytes: OnBytes = (...bytes) => (tell ? tell('download', ...bytes) : progress.show(...bytes))
          const known = expected ? { expected } : {}
          await store.download(url, archive, { ...known, onBytes, ...options.patience }).finally(() => progress.clear())
          progress.conclude(`downloaded ${fileName}`)
        },
        onWait,
      )
      const progress = new TransferProgress(platform, `unpacking ${fileName}`)
      const onBytes: OnBytes = (...bytes) => (tell ? tell('extract', ...bytes) : progress.show(...bytes))
      await store.extract(archive, folder, { onBytes, sha256: expected?.sha256 }).finally(() => progress.clear())
      progress.conclude(`unpacked to ${folder}`)
    },
    onWait,
  )
  return folder
}

/**
 * Folders of archives, data sets and models: `archive`, `data` and `models` of `home`, unless its config.ini says otherwise.
 *
 * Source: fastai data/external.py, fastai_cfg.
 */
export async function dataHome(
  platform: Platform,
  home?: string,
): Promise<{ archive: string; data: string; models: string }> {
  const { files, env } = platform
  const user = env('HOME') ?? env('USERPROFILE')
  const own = (path: string): string => (user !== undefined && /^~(?=$|[/\\])/.test(path) ? user + path.slice(1) : path)
  const folder = own(home ?? env('FASTAI_HOME') ?? '~/.fastai')
  if (folder.startsWith('~')) {
    const fix = 'set FASTAI_HOME to the folder that data sets are kept in'
    throw new DataError('untarData', 'no home folder is known', { fix })
  }
  const config = files.join(folder, 'config.ini')
  const text = (await files.exists(config)) ? await files.readText(config) : ''
  const at = (key: 'archive' | 'data' | 'model', folderName: string = key): string => {
    const path = own(new RegExp(`^\\s*${key}\\s*[=:]\\s*(.+?)\\s*$`, 'm').exec(text)?.[1] ?? folderName)
    return /^([/\\]|[A-Za-z]:)/.test(path) ? path : files.join(folder, path)
  }
  return { archive: at('archive'), data: at('data'), models: at('model', 'models') }
}

/** @throws DataError where data sets cannot be brought to (a page) */
export function datasetsOf(platform: Platform): Datasets {
  if (platform.datasets) return platform.datasets
  throw new DataError('untarData', `data sets cannot be fetched on this platform (${platform.name})`, {
    fix: 'serve the images yourself and name their folder',
  })
}

async function isExpected(platform: Platform, archive: string, expected: ArchiveCheck | undefined): Promise<boolean> {
  const found = await datasetsOf(platform).check(archive)
  if (found === undefined) return false
  if (expected === undefined || (found.sizeBytes === expected.sizeBytes && found.md5 === expected.md5)) return true
  const sizes = `${found.sizeBytes} bytes instead of ${expected.sizeBytes}`
  platform.log(`${archive} is another version than the one known (${sizes}): fetching it again`)
  return false
}

/** How often a line is printed where there is no terminal to overwrite one of. */
const LINE_EVERY_MS = 10_000

/** Shows how far a download or the like is: `downloading imagenette2-160.tgz: 42 % of 94.4 MiB, 8.10 MB/s, 00:07 left` */
export class TransferProgress {
  private readonly platform: Platform
  private readonly what: string
  private readonly startMs: number
  private firstBytes: number | undefined
  private doneBytes = 0
  private lastLineMs: number

  constructor(platform: Platform, what: string) {
    this.platform = platform
    this.what = what
    this.startMs = platform.now()
    this.lastLineMs = this.startMs
  }

  show(doneBytes: number, totalBytes: number | undefined): void {
    // What an earlier run has fetched says nothing about the speed of this one.
    this.firstBytes ??= doneBytes
    this.doneBytes = doneBytes
    const now = this.platform.now()
    const { status } = this.platform
    if (now - this.lastLineMs < (status ? 100 : LINE_EVERY_MS)) return
    this.lastLineMs = now
    const bytesPerMs = (doneBytes - this.firstBytes) / (now - this.startMs)
    const rate = formatRate(bytesPerMs * 1000, 1000, 'B')
    const line =
      totalBytes === undefined || bytesPerMs === 0
        ? `${this.what}: ${formatBytes(doneBytes)}, ${rate}`
        : `${this.what}: ${Math.floor((100 * doneBytes) / totalBytes)} % of ${formatBytes(totalBytes)}, ${rate}, ` +
          `${formatClock((totalBytes - doneBytes) / bytesPerMs)} left`
    if (status) status(line)
    else this.platform.log(line)
  }

  clear(): void {
    this.platform.status?.('')
  }

  conclude(what: string): void {
    if (this.firstBytes === undefined) return
    this.platform.log(`${what}: ${formatBytes(this.doneBytes)} in ${formatTime(this.platform.now() - this.startMs)}`)
  }
}
