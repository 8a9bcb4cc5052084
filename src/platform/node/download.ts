import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { DataError } from '../../base/errors.ts'
import { formatBytes } from '../../base/format.ts'
import type { ArchiveCheck, DownloadOptions, OnBytes } from '../platform.ts'
import { isCode } from './error-code.ts'
import { renameOver, syncFolder } from './files.ts'
import { runtimeName } from './gpu.ts'
import { makeFolder } from './make-folder.ts'

/** fastai's check reads this much (fastdownload, path_stats). */
const CHECKED_BYTES = 2 ** 20
/** Tries in a row that transfer nothing. A server that never answered is given up sooner: there may be no network. */
const TRIES = 5
const TRIES_UNANSWERED = 2
/** Patience with an answer that has no body. */
const HEADERS_MS = 30_000
const MAKE_ROOM = 'make room, or set FASTAI_HOME to a folder on another disk'

/**
 * Fetches `url` to `path`, and survives what long downloads meet: dropped and silent connections are made again, after
 * pauses that double, and what has arrived stays in `<path>.part`, so that a later call asks for the rest only (HTTP
 * Range, tied by If-Range to the same version of the file).
 *
 * @throws DataError  no answer, refused by the server, another size or content than expected, no room on the disk
 */
export async function download(url: string, path: string, options: DownloadOptions = {}): Promise<void> {
  const transfer: Transfer = { url, path, part: `${path}.part`, note: `${path}.part.json`, answered: false, options }
  await makeFolder(dirname(path)).catch((error: unknown) => {
    throw storeError(dirname(path), error)
  })
  for (let failures = 0; ;) {
    const before = await sizeOf(transfer.part)
    try {
      await fetchRest(transfer)
      break
    } catch (error) {
      if (error instanceof DataError) throw error
      failures = (await sizeOf(transfer.part)) > before ? 1 : failures + 1
      if (failures >= (transfer.answered ? TRIES : TRIES_UNANSWERED)) throw await gaveUp(transfer, failures, error)
      await pause((options.pauseMs ?? 1000) * 2 ** (failures - 1))
    }
  }
  await acceptPart(transfer)
}

/** Size and md5 of the first MiB of a file, fastai's check; `undefined` where there is no file. */
export async function checkFile(path: string): Promise<ArchiveCheck | undefined> {
  const file = await open(path).catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return undefined
    throw storeError(path, error)
  })
  if (!file) return undefined
  try {
    const head = Buffer.alloc(CHECKED_BYTES)
    const { bytesRead } = await file.read(head, 0, CHECKED_BYTES, 0)
    const md5 = createHash('md5').update(head.subarray(0, bytesRead)).digest('hex')
    return { sizeBytes: (await file.stat()).size, md5 }
  } finally {
    await file.close()
  }
}

/** Header fields of the first answer to HEAD. @throws DataError  when the server refuses, or does not answer in time */
export async function headersOf(url: string): Promise<ReadonlyMap<string, string>> {
  const failed = (cause: unknown) =>
    new DataError(url, `the server says nothing of this file: ${reason(cause)}`, {
      fix: `check the address, or ${networkAdvice(cause)}`,
      cause,
    })
  const signal = AbortSignal.timeout(HEADERS_MS)
  const response = await fetch(url, { method: 'HEAD', redirect: 'manual', signal }).catch((cause: unknown) => {
    throw failed(cause)
  })
  if (response.status >= 400) throw failed(`it answered ${response.status} ${response.statusText}`.trimEnd())
  return new Map(response.headers)
}

interface Transfer {
  readonly url: string
  readonly path: string
  readonly part: string
  /** Beside the part: from where it came, and the validator (ETag or date) of the version it is part of. */
  readonly note: string
  answered: boolean
  readonly options: DownloadOptions
}

/** One connection. A DataError is final; any other error is worth another try. */
async function fetchRest(transfer: Transfer): Promise<void> {
  const { url, part, note, options } = transfer
  const silence = new AbortController()
  const stallMs = options.stallMs ?? 30_000
  const timer = setTimeout(() => silence.abort(new Error(`nothing arrived for ${stallMs / 1000} s`)), stallMs)
  try {
    const validator = await readValidator(note, url)
    const have = validator === undefined ? 0 : await sizeOf(part)
    const response = await fetchSecurely(url, {
      signal: silence.signal,
      headers: {
        'accept-encoding': 'identity',
        ...(have > 0 && validator !== undefined ? { range: `bytes=${have}-`, 'if-range': validator } : {}),
      },
    })
    transfer.answered = true
    timer.refresh()
    const { start, total, complete } = await placeOf(response, have, transfer)
    if (complete) return await response.body?.cancel()
    await checkRoom(transfer, total, start)
    if (start === 0) await writeValidator(note, url, response)
    const file = await open(part, start === 0 ? 'w' : 'a').catch((error: unknown) => {
      throw storeError(part, error)
    })
    let done = start
    try {
      for await (const chunk of response.body ?? []) {
        await file.writeFile(chunk).catch((error: unknown) => {
          throw storeError(part, error)
        })
        done += chunk.byteLength
        timer.refresh()
        tellBytes(options.onBytes, done, total)
      }
      if (total !== undefined && done !== total) throw new Error(`the connection ended after ${done} of ${total} bytes`)
    } finally {
      await file.close()
    }
  } finally {
    clearTimeout(timer)
    silence.abort()
  }
}

/**
 * Calls the caller's function of the progress.
 *
 * @throws DataError  if it fails, which is no fault of the connection, to be made again, nor of the archive
 */
export function tellBytes(onBytes: OnBytes | undefined, ...bytes: Parameters<OnBytes>): void {
  try {
    onBytes?.(...bytes)
  } catch (cause) {
    throw new DataError('onBytes', `the function failed (${String(cause)})`, { cause })
  }
}

/** Redirects that are followed. Source: fetch.spec.whatwg.org, HTTP-redirect fetch. */
const REDIRECTS = 20

/** `fetch` that never follows a redirect from https to http. @throws DataError when a server sends there */
async function fetchSecurely(url: string, init: RequestInit): Promise<Response> {
  for (let at = new URL(url), redirects = 0; ; redirects++) {
    const response = await fetch(at, { ...init, redirect: 'manual' })
    const location = [301, 302, 303, 307, 308].includes(response.status) ? response.headers.get('location') : null
    if (location === null) return response
    await response.body?.cancel()
    const next = new URL(location, at)
    if (at.protocol === 'https:' && next.protocol !== 'https:') {
      throw new DataError(url, 'the server leads to an address without encryption', {
        given: { from: at.href, to: next.href },
        fix: 'get the archive from where you trust it, and put it into the folder of archives yourself',
      })
    }
    if (redirects === REDIRECTS) {
      throw new DataError(url, `the server leads on after ${REDIRECTS} redirects`, { fix: 'check the address' })
    }
    at = next
  }
}

interface Place {
  readonly start: number
  readonly total?: number | undefined
  /** There is nothing left to fetch. */
  readonly complete?: boolean
}

/** From which byte an answer goes on, and the size of the whole file. */
async function placeOf(response: Response, have: number, transfer: Transfer): Promise<Place> {
  const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(response.headers.get('content-range') ?? '')
  const total = range ? Number(range[2]) : undefined
  const expected = transfer.options.expected?.sizeBytes
  if (response.status === 206 && range && Number(range[1]) === have) return { start: have, total }
  if (response.status === 416 && have > 0 && have === (expected ?? total)) return { start: have, total, complete: true }
  if (response.status === 206 || response.status === 416) {
    // Not the rest of what we have: begin anew.
    await rm(transfer.part, { force: true })
    throw new Error(`the server answered ${response.status} with another part of the file`)
  }
  if (response.status === 200) {
    const length = response.headers.get('content-length')
    const size = length === null || response.headers.has('content-encoding') ? undefined : Number(length)
    if (expected !== undefined && size !== undefined && size !== expected) {
      throw new DataError(transfer.url, 'the file on the server is not the one this release knows', {
        given: { size: `${size} bytes` },
        expected: `${expected} bytes`,
        fix: 'update wgrad, or fetch and unpack the archive yourself and name its folder (--data DIR of the commands)',
      })
    }
    return { start: 0, total: size }
  }
  const answer = `the server answered ${response.status} ${response.statusText}`.trimEnd()
  // Too early, too many requests, and the server's own troubles pass; the rest does not.
  if ([408, 425, 429].includes(response.status) || response.status >= 500) throw new Error(answer)
  throw new DataError(transfer.url, answer, { fix: 'check the address' })
}

async function acceptPart({ url, path, part, note, options: { expected } }: Transfer): Promise<void> {
  const got = await checkFile(part)
  const sha256 = expected?.sha256 === undefined ? undefined : await sha256Of(part)
  const differs = (name: keyof ArchiveCheck, found: unknown) =>
    expected?.[name] !== undefined && found !== expected[name]
  if (differs('sizeBytes', got?.sizeBytes) || differs('md5', got?.md5) || differs('sha256', sha256)) {
    await rm(part, { force: true })
    await rm(note, { force: true })
    throw new DataError(url, 'what arrived is not the expected archive; it was deleted', {
      given: {
        size: `${got?.sizeBytes} bytes`,
        'md5 of the first MiB': got?.md5,
        ...(sha256 === undefined ? {} : { 'SHA-256': sha256 }),
      },
      expected: [expected?.sizeBytes && `${expected.sizeBytes} bytes`, expected?.md5, expected?.sha256]
        .filter((each) => each !== undefined)
        .join(', '),
      fix: 'run again; if it stays so, something between here and the server changes the file (a proxy, a sign-in page)',
    })
  }
  // Here for good before it has its name. Opened to be written to, without which Windows refuses `sync` (EPERM).
  const file = await open(part, 'r+')
  await file.sync().finally(() => file.close())
  await renameOver(part, path)
  await syncFolder(dirname(path))
  await rm(note, { force: true })
}

async function sha256Of(path: string): Promise<string> {
  const digest = createHash('sha256')
  for await (const chunk of createReadStream(path)) digest.update(chunk as Buffer)
  return digest.digest('hex')
}

async function checkRoom({ part, options }: Transfer, total: number | undefined, start: number): Promise<void> {
  const needed = (total ?? options.expected?.sizeBytes ?? 0) - start
  await requireRoom(dirname(part), needed)
}

/** @throws DataError when less than `neededBytes` are free where `folder` lies, if its file system says how many are */
export async function requireRoom(folder: string, neededBytes: number): Promise<void> {
  const { bavail, bsize, blocks } = await statfs(folder)
  // Without blocks at all it does not say, as some of networks and clouds.
  if (blocks === 0 || bavail * bsize >= neededBytes) return
  throw new DataError(folder, 'too little room on the disk', {
    given: { needed: formatBytes(neededBytes), free: formatBytes(bavail * bsize) },
    fix: MAKE_ROOM,
  })
}

/** Returns the refusal of the file system as one clear error. */
export function storeError(path: string, error: unknown): DataError {
  if (error instanceof DataError) return error
  if (isCode(error, 'ENOSPC') || isCode(error, 'EDQUOT')) {
    return new DataError(path, 'the disk is full', { fix: MAKE_ROOM, cause: error })
  }
  const denied = ['EACCES', 'EPERM', 'EROFS'].some((code) => isCode(error, code))
  return new DataError(path, error instanceof Error ? error.message : String(error), {
    ...(denied ? { fix: 'set FASTAI_HOME to a folder that you may write to' } : {}),
    cause: error,
  })
}

async function gaveUp({ url, path, part }: Transfer, failures: number, error: unknown): Promise<DataError> {
  const kept = await sizeOf(part)
  // Archives of images, or weights of the model hub.
  const instead = /\.t(ar\.)?gz$/.test(path)
    ? 'or use images that are here (--data DIR of the commands)'
    : 'or name a file of weights that is here'
  return new DataError(url, 'could not be downloaded', {
    given: {
      tried: `${failures} times in a row; the last time: ${reason(error)}`,
      ...(kept > 0 ? { kept: `${formatBytes(kept)} in ${part}; the next run goes on from there` } : {}),
    },
    fix: `${networkAdvice(error)}, or put ${basename(path)} into ${dirname(path)} yourself, ${instead}`,
    cause: error,
  })
}

/** fetch says only "fetch failed"; why is in the cause. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message || String(error.cause) : error.message
}

/** Settings that name a proxy, for every program or for those that read small letters only. */
const PROXIES = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy']
/** Codes of certificates that are not trusted. Source: OpenSSL, X509_verify_cert_error_string; Node, errors of tls. */
const UNTRUSTED = /SELF_SIGNED_CERT|ISSUER_CERT|LEAF_SIGNATURE/

/** Advice on a connection that fails, first that for networks of companies, which Node does not take from the system. */
function networkAdvice(error: unknown): string {
  if ([error, (error as Error).cause].some((one) => UNTRUSTED.test((one as NodeJS.ErrnoException)?.code ?? ''))) {
    return 'if the network is that of a company, set NODE_EXTRA_CA_CERTS to the file of its certificates (PEM)'
  }
  const proxy = PROXIES.find((name) => process.env[name])
  if (proxy === undefined || process.env['NODE_USE_ENV_PROXY'] === '1' || runtimeName() !== 'Node') {
    return 'check the network'
  }
  return `set NODE_USE_ENV_PROXY=1, without which Node (22.21, 24 or later; older ones not at all) does not use ${proxy}`
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}

async function readValidator(note: string, url: string): Promise<string | undefined> {
  try {
    const { url: from, validator } = JSON.parse(await readFile(note, 'utf8')) as { url: string; validator: string }
    return from === url ? validator : undefined
  } catch {
    // No note, or half of one: then the part says nothing either, and the download begins anew.
    return undefined
  }
}

async function writeValidator(note: string, url: string, response: Response): Promise<void> {
  const etag = response.headers.get('etag')
  // A weak ETag says "equivalent", which is not enough to join two halves.
  const validator = etag !== null && !etag.startsWith('W/') ? etag : response.headers.get('last-modified')
  if (validator === null) await rm(note, { force: true })
  else {
    await writeFile(note, JSON.stringify({ url, validator })).catch((error: unknown) => {
      throw storeError(note, error)
    })
  }
}
