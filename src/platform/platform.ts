import type { PlatformFormats } from '../image/image-kind.ts'
import type { Decoding } from '../image/decode-options.ts'
import type { CaptionRequest } from '../image/caption.ts'
import type { PixelEdit } from '../image/pixel-edits.ts'
import type { Pixels } from '../image/pixels.ts'
import type { ResizePlan } from '../image/resize-plan.ts'

/**
 * Machine that the library runs on. The core receives a `Platform` and never looks one up:
 * `node.ts` and `browser.ts` are the only files that choose one.
 */
export interface Platform {
  readonly name: 'node' | 'browser'
  /**
   * The WebGPU entry point. Keep it alive as long as any device made from it (see platform/node/gpu.ts).
   *
   * @param software  that of the software adapter, where the platform has one for it. Default false
   * @throws DeviceError  when there is no WebGPU here, with the cause
   */
  gpu(software?: boolean): GPU | Promise<GPU>
  /**
   * Returns a function that compiles kernels beside the device that computes; absent, or undefined, where the driver gains
   * nothing by it.
   *
   * @param adapter     name of the adapter
   * @param openDevice  function that opens a further device of it
   */
  compileBeside?(adapter: string, openDevice: () => Promise<GPUDevice>): CompileBeside | undefined
  /** How to get an adapter of that kind where `requestAdapter` found none: the last line of an error. Default: of any kind */
  adapterAdvice(asked?: 'software' | 'discrete'): string
  readonly files: Files
  /** Memory that can still be taken; absent where nothing is known of it. */
  availableBytes?(): number | undefined
  /**
   * Returns an object that weighs as much as a buffer of the GPU with the garbage collector, which does not know what the GPU
   * holds: it then looks for models that were dropped before dozens of them fill the GPU. Undefined for small buffers.
   */
  weigh?(byteLength: number): object | undefined
  /** Decodes images on other threads. */
  readonly decoder: DecodePool
  /** Downloads and unpacks data sets; absent where there is no disk to put them on (a page). */
  readonly datasets?: Datasets
  /** PNG file bytes of an 8-bit RGBA image. */
  encodePng(picture: Pixels): Promise<Uint8Array>
  /**
   * Draws a text with fonts, wrapped to a width: RGBA, as wide as it is but not wider, transparent around the letters;
   * `undefined` where there is no font. Absent where there never is one.
   */
  drawText?(request: CaptionRequest): Promise<Pixels | undefined>
  /**
   * Pixels of something that a page draws, such as a canvas or the frame of a video; `undefined` for anything else.
   * Absent where there is no canvas.
   */
  drawablePixels?(image: object): Pixels | undefined
  /** SHA-256 of bytes, or of a text in UTF-8, in hex. */
  sha256(content: Uint8Array | string): Promise<string>
  /** Version of what implements WebGPU, where the adapter tells none: in a page that of the browser. */
  readonly version?: string
  /** True where resizing an image on this thread would stop a page from being drawn. */
  readonly drawsPage?: boolean
  /** A setting by name: an environment variable, or a query parameter of the page. */
  env(name: string): string | undefined
  /** Milliseconds from an arbitrary start. */
  now(): number
  log(line: string): void
  /** Writes without a line end, for progress; `undefined` where there is no terminal to overwrite a line of. */
  readonly status: ((text: string) => void) | undefined
  /** Ends when `done` settles, keeping the thread free meanwhile: see platform/node/gpu.ts for why waiting needs care. */
  waitFor<T>(done: Promise<T>, options?: { sleepMs?: number }): Promise<T>
  /** Calls back once when the user or the system asks to stop (Ctrl-C, SIGTERM, SIGHUP); returns how to unsubscribe. */
  onInterrupt(stop: () => void): () => void
}

/** Layout of a bind group of buffers. */
export interface BuffersLayout {
  readonly label: string
  readonly entries: GPUBindGroupLayoutEntry[]
}

/** Text and layouts of a kernel, from which a driver compiles it. */
export interface KernelText {
  /** WGSL with the entry point `main`. */
  readonly code: string
  /** Layouts of its bind groups, in order. */
  readonly layouts: readonly BuffersLayout[]
}

/**
 * Function that compiles kernels for a device that will launch them in their order.
 *
 * @param isOver  true once the device has launched them, or is closed
 * @returns  how many it compiled
 */
export type CompileBeside = (kernels: readonly KernelText[], isOver: () => boolean) => Promise<number>

/** Entry of a folder. */
export interface FileEntry {
  readonly name: string
  readonly kind: 'file' | 'folder'
  /** It is a link to a folder elsewhere. */
  readonly link?: true
}

/** Facts about a file that need no reading of all of it. */
export interface FileGlance {
  /** Identity of the file, as `identify` gives it. */
  readonly id: string
  readonly sizeBytes: number
  /** Its first bytes, as many as were asked for or are there. */
  readonly start: Uint8Array
}

/** Paths are opaque texts joined with `join`; every failure is a DataError that names the path. */
export interface Files {
  join(...parts: string[]): string
  /** Entries of a folder, sorted by name. */
  list(folder: string): Promise<FileEntry[]>
  exists(path: string): Promise<boolean>
  /** Tells a file or folder from all others, by whatever links it is reached. Absent where there are no links. */
  identify?(path: string): Promise<string>
  /** Looks at a file. Absent, or without a result, where that would cost as much as reading it. */
  glance?(path: string, byteCount: number): Promise<FileGlance | undefined>
  read(path: string): Promise<Uint8Array>
  /** @throws DataError  also for what is not UTF-8 */
  readText(path: string): Promise<string>
  /** Writes to a temporary name beside the target, then renames: a reader never sees half a file. Makes folders. */
  write(path: string, content: Uint8Array | string, options?: WriteOptions): Promise<void>
  /** Tries whether a file could be written there, and leaves nothing behind. @throws DataError  where it could not */
  requireWritable?(path: string): Promise<void>
  /**
   * Gives a file another name, in a folder that is made if there is none. Absent where files cannot be moved.
   *
   * @throws DataError  if there is a file of that name, which is never overwritten
   */
  move?(from: string, to: string): Promise<void>
}

/** Options of `Files.write`. */
export interface WriteOptions {
  /** Wait until the disk has it, so that it outlasts a power failure (fsync). Default false */
  readonly lasting?: boolean
}

/** Size and hashes that tell one version of an archive from another. Source: fastai data/external.py, _check_file. */
export interface ArchiveCheck {
  readonly sizeBytes: number
  /** md5 of the first MiB, in hex. */
  readonly md5: string
  /** SHA-256 of the whole file, in hex, where it is known. */
  readonly sha256?: string
}

/** Bytes done, and bytes in all where that is known. */
export type OnBytes = (doneBytes: number, totalBytes: number | undefined) => void

/** Options of `Datasets.download`. */
export interface DownloadOptions {
  /** Checked before the file gets its name; a file of another size is refused before it is fetched. */
  readonly expected?: Partial<ArchiveCheck>
  /** Called with the progress. */
  readonly onBytes?: OnBytes
  /** Milliseconds of silence after which a connection is given up and made again. Default 30,000 */
  readonly stallMs?: number
  /** Milliseconds before the second try, doubled before each further one. Default 1,000 */
  readonly pauseMs?: number
}

/** Options of `Datasets.extract`. */
export interface ExtractOptions {
  /** Called with the progress. */
  readonly onBytes?: OnBytes
  /** SHA-256 of the archive, checked before the folder gets its name. */
  readonly sha256?: string | undefined
}

/** How data sets get onto the disk: whole or not at all. Every failure is a DataError. */
export interface Datasets {
  /** Size and md5 of a file, which are soon read; `undefined` where there is none. */
  check(path: string): Promise<ArchiveCheck | undefined>
  /** Header fields of a server's first answer about a file, by lower-case name; redirects are not followed. */
  headers(url: string): Promise<ReadonlyMap<string, string>>
  /** Fetches a file, going on from what an earlier call left in `<path>.part`. */
  download(url: string, path: string, options?: DownloadOptions): Promise<void>
  /** Unpacks a .tgz to `folder`: the one folder inside it, or all of it where there are several. */
  extract(archive: string, folder: string, options?: ExtractOptions): Promise<void>
  /**
   * Does work while no other program does any for the same path. The lock of one that crashed does not count.
   *
   * @param onWait  called once, with the holder of the lock, when it has to be waited for
   */
  exclusively<T>(path: string, work: () => Promise<T>, onWait?: (holder: string) => void): Promise<T>
  /** Makes a folder: `fill` writes to a temporary one beside it, which then gets the name, replacing what had it. */
  create(folder: string, fill: (temporary: string) => Promise<void>): Promise<void>
}

/** An image file, and the way to make pixels of it. */
export interface DecodeRequest {
  /** Path of the file; with `bytes` only its name in errors. */
  readonly path: string
  /** Contents of the file. Default: those of the file at the path */
  readonly bytes?: Uint8Array | undefined
  /** Default: the whole image. */
  readonly resize?: ResizePlan
  /** Default: that of `ImageBlock()`. */
  readonly decoding?: Decoding | undefined
  /** Put the pixels into memory that all threads see; only where the pool `shares`. Default false */
  readonly share?: boolean
  /** An image that was decoded before: it is only resized and edited, on a thread, and no file is read. */
  readonly from?: Pixels
  /** Changes of the pixels, after resizing. Default none */
  readonly edits?: readonly PixelEdit[]
}

/** Decoder of image files, on threads where the platform has them. */
export interface DecodePool {
  /** Decodes one image, converted to RGB (alpha 255). A DataError names the path and says what is wrong with it. */
  decode(request: DecodeRequest): Promise<Pixels>
  /** Formats that it decodes besides JPEG and PNG. Absent where only trying one shows that. */
  formats?(): Promise<PlatformFormats>
  /** Images decoded at once. 0: in place, on the calling thread. */
  readonly threads: number
  /** True if its threads can see the same memory: always in Node, in a page only where it is isolated from other origins. */
  readonly shares?: boolean
  close(): Promise<void>
}
