import { DataError, OptionError } from '../base/errors.ts'
import { ANY, checkArgument, checkOptions, FLAG, FUNCTION, PATH, TEXT, type Kinds } from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import type { DownloadOptions, OnBytes, Platform } from '../platform/platform.ts'
import { dataHome, datasetsOf, TransferProgress } from './untar-data.ts'

/** Options of `hubModel`. */
export interface HubOptions {
  /** SHA-256 of the weights, in hex. Default: what the hub says of the file (`x-linked-etag`) */
  readonly sha256?: string
  /** Version of the model: a branch, a tag or a commit. Default 'main' */
  readonly revision?: string
  /** Address of the hub. Default: the setting `HF_ENDPOINT`, otherwise https://huggingface.co */
  readonly endpoint?: string
  /** Folder that holds `models/`. Default: the setting `FASTAI_HOME`, otherwise `~/.fastai` */
  readonly home?: string
  /** Fetch again what is already there. Default false */
  readonly force?: boolean
  /** Called with the progress of the download, in place of lines in the terminal. */
  readonly onBytes?: OnBytes
  /** Silence after which a connection is made again, and the pause before the second try. Default 30,000 and 1,000 ms */
  readonly patience?: Pick<DownloadOptions, 'stallMs' | 'pauseMs'>
  /** Default: that of the open GPU */
  readonly platform?: Platform
}

export const HUB_KINDS: Kinds<HubOptions> = {
  sha256: { expected: '64 hexadecimal digits', is: isSha256 },
  revision: PATH,
  endpoint: TEXT,
  home: PATH,
  force: FLAG,
  onBytes: FUNCTION,
  patience: ANY,
  platform: ANY,
}

/** Files of a model from the hub. */
export interface HubModel {
  /** Path of `model.safetensors`. */
  readonly weights: string
  /** Path of `config.json`. */
  readonly config: string
}

const ENDPOINT = 'https://huggingface.co'
const OWNER = 'timm'
const NAME = /^[\w.-]+(?:\/[\w.-]+)?$/

/**
 * The files of a model on the Hugging Face hub, fetched when they are not there yet.
 *
 *   <endpoint>/<owner>/<name>/resolve/<revision>/model.safetensors and config.json
 *   <home>/models/<owner>/<name>/<revision>/…                                       are used as they are when they exist
 *
 * The weights are checked against the SHA-256 that is given, or that the hub says of them, before they get their name.
 *
 * @param name  `timm/resnet18d.ra2_in1k`; of a name without owner the owner is `timm`
 * @throws OptionError  when this is not the name of a model
 * @throws DataError    when a file cannot be fetched, or is not the expected one
 *
 * Source: huggingface_hub file_download.py, hf_hub_url and get_hf_file_metadata.
 */
export async function hubModel(name: string, options: HubOptions = {}): Promise<HubModel> {
  checkArgument('hubModel', 'name', name, PATH)
  checkOptions('hubModel', options, HUB_KINDS)
  const platform = options.platform ?? currentGpu().platform
  const { files } = platform
  const whole = name.includes('/') ? name : `${OWNER}/${name}`
  const { revision = 'main', endpoint = platform.env('HF_ENDPOINT') ?? ENDPOINT } = options
  const parts = [...whole.split('/'), encodeURIComponent(revision)]
  if (!NAME.test(name) || parts.some((part) => /^\.+$/.test(part))) {
    throw new OptionError('hubModel', 'this is not the name of a model', {
      given: { name, revision },
      expected: 'a name such as resnet18d.ra2_in1k, or owner/name',
    })
  }
  const folder = files.join((await dataHome(platform, options.home)).models, ...parts)
  const address = `${endpoint.replace(/\/+$/, '')}/${whole}/resolve/${encodeURIComponent(revision)}`
  const fetchFile = async (file: string): Promise<string> => {
    const path = files.join(folder, file)
    await fetchOnce(platform, `${address}/${file}`, path, options, file.endsWith('.safetensors'))
    return path
  }
  return { config: await fetchFile('config.json'), weights: await fetchFile('model.safetensors') }
}

/** @param checked  the file's digest is known to the hub, or given */
async function fetchOnce(
  platform: Platform,
  url: string,
  path: string,
  { force = false, onBytes, patience, ...options }: HubOptions,
  checked: boolean,
): Promise<void> {
  const { files } = platform
  const given = checked ? options.sha256?.toLowerCase() : undefined
  const isThere = async () => {
    if (!(await files.exists(path))) return false
    if (given === undefined || (await platform.sha256(await files.read(path))) === given) return true
    platform.log(`${path} is another version than the one asked for: fetching it again`)
    return false
  }
  if (!force && (await isThere())) return
  const store = datasetsOf(platform)
  await store.exclusively(
    path,
    async () => {
      // Another process may have fetched it meanwhile.
      if (!force && (await isThere())) return
      const known = checked ? await linkedFile(platform, url) : {}
      if (given !== undefined && known.sha256 !== undefined && known.sha256 !== given) {
        throw new DataError(url, 'the weights on the hub are not the ones asked for', {
          given: { 'SHA-256 on the hub': known.sha256 },
          expected: given,
          fix: 'name the revision that they belong to, or leave out `sha256`',
        })
      }
      const sha256 = given ?? known.sha256
      const expected = { ...known, ...(sha256 === undefined ? {} : { sha256 }) }
      const progress = new TransferProgress(platform, `downloading ${url}`)
      const show: OnBytes = (...bytes) => (onBytes ? onBytes(...bytes) : progress.show(...bytes))
      await store.download(url, path, { expected, onBytes: show, ...patience }).finally(() => progress.clear())
      if (checked) progress.conclude(`downloaded ${path}`)
    },
    (holder) => platform.log(`${holder} is at work on ${path}: waiting for it`),
  )
}

/** Headers with which the hub describes a large file before it redirects to its storage. */
async function linkedFile(platform: Platform, url: string): Promise<{ sha256?: string; sizeBytes?: number }> {
  const headers = await datasetsOf(platform).headers(url)
  // The tag is a SHA-256 for large files only: small ones, which are stored in git, have git's digest.
  const tag = headers.get('x-linked-etag')?.replace(/^(W\/)?"|"$/g, '')
  const size = Number(headers.get('x-linked-size') ?? NaN)
  return { ...(isSha256(tag) ? { sha256: tag } : {}), ...(Number.isSafeInteger(size) ? { sizeBytes: size } : {}) }
}

function isSha256(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/i.test(value)
}
