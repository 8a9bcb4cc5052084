import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { DataError, DecodeError, OptionError } from '../../src/base/errors.ts'
import type { BlobFiles } from '../../src/platform/browser/blob-files.ts'
import { browserDecodePool } from '../../src/platform/browser/decode-pool.ts'
import { serveDecoding } from '../../src/platform/decode-jobs.ts'
import { defaultThreads, ThreadedDecodePool } from '../../src/platform/decode-pool.ts'
import type { DecodeJob, DecodeReply, DecodeThread, StartThread } from '../../src/platform/decode-pool.ts'
import { createNodePlatform } from '../../src/platform/node/index.ts'
import { nodeDecodePool } from '../../src/platform/node/decode-pool.ts'
import { encodePng } from '../../src/platform/node/png.ts'
import { absentDecoder } from '../../src/platform/node/sharp.ts'
import type { Pixels } from '../../src/image/pixels.ts'

let folder = ''
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wgrad-decode-'))
  const data = Uint8Array.from({ length: 6 * 4 * 4 }, (_, i) => i)
  writeFileSync(join(folder, 'image.png'), await encodePng({ width: 6, height: 4, data }))
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

const rejection = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  )

describe('in place', () => {
  test('decodes and resizes', async () => {
    const pool = nodeDecodePool(0)
    expect(pool.threads).toBe(0)
    const path = join(folder, 'image.png')
    const whole = await pool.decode({ path })
    expect([whole.width, whole.height, [...whole.data.slice(4, 8)]]).toEqual([6, 4, [4, 5, 6, 255]])
    const resize = { width: 2, height: 2, method: 'crop', position: [0, 0] } as const
    expect((await pool.decode({ path, resize })).data.length).toBe(16)
    expect(await pool.decode({ path: 'named', bytes: readFileSync(path) })).toEqual(whole)
    expect(String(await rejection(pool.decode({ path: 'named', bytes: Uint8Array.of(1) })))).toContain('named: not an')
    await pool.close()
  })

  test('shares whole images, and makes crops of them without their file', async () => {
    const pool = nodeDecodePool(0)
    const path = join(folder, 'image.png')
    const whole = await pool.decode({ path, share: true })
    expect(whole.data.buffer).toBeInstanceOf(SharedArrayBuffer)
    expect([...whole.data]).toEqual([...(await pool.decode({ path })).data])
    const resize = { width: 2, height: 2, method: 'crop', position: [0, 0] } as const
    const crop = await pool.decode({ path: 'gone.png', from: whole, resize })
    expect(crop).toEqual(await pool.decode({ path, resize }))
    expect(crop.data.buffer).toBeInstanceOf(ArrayBuffer)
  })

  test('reads what is not a file by a function, once for each image, and the rest from the disk', async () => {
    const path = join(folder, 'image.png')
    const read = vi.fn<(name: string) => Uint8Array | undefined>((name) =>
      name === 'row 7' ? readFileSync(path) : undefined,
    )
    const { decoder, files } = createNodePlatform({ threads: 0, read })
    const whole = await nodeDecodePool(0).decode({ path })
    expect(await decoder.decode({ path: 'row 7' })).toEqual(whole)
    expect(await decoder.decode({ path })).toEqual(whole)
    expect(String(await rejection(decoder.decode({ path: 'row 8' })))).toBe('DataError: row 8: no such file or folder')
    expect(read.mock.calls).toEqual([['row 7'], [path], ['row 8']])
    await decoder.decode({ path: 'row 7', bytes: readFileSync(path) })
    await decoder.decode({
      path: 'row 7',
      from: whole,
      resize: { width: 2, height: 2, method: 'crop', position: [0, 0] },
    })
    expect(read).toHaveBeenCalledTimes(3)
    expect([await files.read('row 7'), files.glance]).toEqual([readFileSync(path), undefined])
    expect(() => createNodePlatform({ read: new Map() as never })).toThrow(
      'createNodePlatform: read is not of the right',
    )
  })

  test('refuses with the path', async () => {
    const error = await rejection(nodeDecodePool(0).decode({ path: join(folder, 'gone.png') }))
    expect(error).toBeInstanceOf(DataError)
    expect(String(error)).toBe(`DataError: ${join(folder, 'gone.png')}: no such file or folder`)
    expect(String(await rejection(nodeDecodePool(0).decode({ path: folder })))).toContain('a folder, not a file')
  })
})

test('the number of threads', () => {
  expect([1, 2, 4, 16, 17, 64].map(defaultThreads)).toEqual([1, 1, 3, 15, 16, 16])
  expect(() => nodeDecodePool(-1)).toThrow(OptionError)
  expect(() => nodeDecodePool(1.5)).toThrow('threads  1.5')
})

test('threads from the sources: they cannot start, and the message says what to do', async () => {
  const pool = nodeDecodePool(1)
  const error = await rejection(pool.decode({ path: join(folder, 'image.png') }))
  expect(String(error)).toContain('a decoding thread cannot start (Cannot find module')
  expect(String(error)).toContain('or decode in place: createNodePlatform({ threads: 0 })')
  await pool.close()
})

test.each([['--input-type=module'], ['--input-type', 'module']])(
  'threads of a program on the command line, %s',
  async (...type) => {
    const built = JSON.stringify(new URL('../../dist/src/platform/node/decode-pool.js', import.meta.url).href)
    const program = `
    import { nodeDecodePool } from ${built}
    const pool = nodeDecodePool(1)
    const { width, height } = await pool.decode({ path: 'image.png' })
    await pool.close()
    console.log(width, height)
  `
    const { stdout } = await promisify(execFile)(process.execPath, [...type, '-e', program], { cwd: folder })
    expect(stdout).toBe('6 4\n')
  },
)

test('only a sharp that is there and does not load is worth a line', () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  // Of import, of the require of bundlers, and of Jest, whose errors are those of another realm.
  const absent = [new Error('no'), new Error('no'), runInNewContext('new Error()') as Error]
  const codes = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND', 'MODULE_NOT_FOUND']
  for (const [i, error] of absent.entries()) absentDecoder(Object.assign(error, { code: codes[i] }))
  expect(warn).not.toHaveBeenCalled()
  absentDecoder(new Error('Could not load the "sharp" module'))
  expect(warn).toHaveBeenCalledWith(expect.stringContaining('sharp is installed and does not load: Error: Could not'))
  warn.mockRestore()
})

/** Workers played by the test: what they were sent, and their answers when the test says so. */
class Workers {
  readonly all: FakeThread[] = []
  readonly start: StartThread = ({ reply, ended }) => {
    const worker = new FakeThread(reply, ended)
    this.all.push(worker)
    return worker
  }
}

class FakeThread implements DecodeThread {
  readonly jobs: string[] = []
  readonly bytes: (Uint8Array | undefined)[] = []
  held = false
  stopped = false
  readonly reply: (reply: DecodeReply) => void
  readonly ended: (reason: string) => void

  constructor(reply: (reply: DecodeReply) => void, ended: (reason: string) => void) {
    this.reply = reply
    this.ended = ended
  }

  post({ path, bytes }: DecodeJob): void {
    this.jobs.push(path)
    this.bytes.push(bytes)
  }
  hold(busy: boolean): void {
    this.held = busy
  }
  stop(): Promise<void> {
    this.stopped = true
    return Promise.resolve()
  }

  /** Answers the next job with an image as wide as the number at the end of its path. */
  finish(): void {
    const width = Number(this.jobs.shift()?.slice(1))
    this.reply({ width, height: 1, data: new Uint8Array(width * 4) })
  }
}

test('bytes that are a part of larger memory are sent alone', () => {
  const { start, all } = new Workers()
  const memory = Uint8Array.from({ length: 1000 }, (_, i) => i)
  for (const bytes of [memory, memory.subarray(10, 13), Buffer.from(memory.buffer, 10, 3)]) {
    void new ThreadedDecodePool(1, start).decode({ path: 'p', bytes })
  }
  const [whole, ...parts] = all.map(({ bytes: [one] }) => one)
  expect(whole).toBe(memory)
  for (const part of parts) {
    expect([...(part ?? [])]).toEqual([10, 11, 12])
    expect(part?.buffer.byteLength).toBe(3)
  }
})

describe('the pool', () => {
  const widths = (tasks: Promise<Pixels>[]): Promise<number[]> =>
    Promise.all(tasks.map(async (task) => (await task).width))
  const begin = (threads: number, images: number) => {
    const workers = new Workers()
    const pool = new ThreadedDecodePool(threads, workers.start)
    const tasks = Array.from({ length: images }, (_, i) => pool.decode({ path: `p${i}` }))
    return { workers: workers.all, pool, tasks }
  }

  test('starts no thread before it is needed and no more than there are images', () => {
    expect(begin(3, 0).workers).toHaveLength(0)
    expect(begin(3, 2).workers).toHaveLength(2)
    expect(begin(3, 9).workers).toHaveLength(3)
  })

  test('gives every thread two images and the next to whoever is free', async () => {
    const {
      workers: [a, b],
      tasks,
    } = begin(2, 7)
    expect([a.jobs, b.jobs]).toEqual([
      ['p0', 'p2'],
      ['p1', 'p3'],
    ])
    b.finish()
    b.finish()
    expect([a.jobs, b.jobs]).toEqual([
      ['p0', 'p2'],
      ['p4', 'p5'],
    ])
    for (let i = 0; i < 3; i++) a.finish()
    for (let i = 0; i < 2; i++) b.finish()
    expect(await widths(tasks)).toEqual([0, 1, 2, 3, 4, 5, 6])
  })

  test('holds the program only while there is work', async () => {
    const {
      workers: [a],
      pool,
      tasks,
    } = begin(1, 2)
    expect(a.held).toBe(true)
    a.finish()
    expect(a.held).toBe(true)
    a.finish()
    expect(a.held).toBe(false)
    await widths(tasks)
    const more = pool.decode({ path: 'p5' })
    expect(a.held).toBe(true)
    a.finish()
    expect((await more).width).toBe(5)
  })

  test('passes on what is wrong with a file, text and class', async () => {
    const {
      workers: [a],
      tasks,
    } = begin(1, 3)
    const given = new DataError('C: odd name.jpg', 'not an image (starts 68)', {
      expected: 'a JPEG or PNG',
      fix: 'look.',
    })
    a.reply({ error: given.message, kind: given.name })
    const option = new OptionError('resize', 'the position is outside the image')
    a.reply({ error: option.message, kind: option.name })
    expect(await rejection(tasks[0])).toBeInstanceOf(DataError)
    expect(String(await rejection(tasks[0]))).toBe(String(given))
    expect(await rejection(tasks[1])).toBeInstanceOf(OptionError)
    expect(String(await rejection(tasks[1]))).toBe(String(option))
    a.reply({ error: 'a.jpg: a damaged JPEG', kind: 'DecodeError' })
    expect(await rejection(tasks[2])).toBeInstanceOf(DecodeError)
  })

  test('an image that cannot be sent to a thread costs itself only, and is not taken for another', async () => {
    const {
      workers: [a],
      pool,
      tasks,
    } = begin(1, 3)
    const { post } = a
    a.post = (job) => {
      if (job.path === 'p2' || job.path === 'p4') throw new Error('out of memory')
      post.call(a, job)
    }
    for (const path of ['p3', 'p4', 'p5']) tasks.push(pool.decode({ path }))
    for (let i = 0; i < 4; i++) a.finish()
    expect(a.held).toBe(false)
    expect(await widths([0, 1, 3, 5].map((i) => tasks[i]))).toEqual([0, 1, 3, 5])
    for (const i of [2, 4]) {
      expect(String(await rejection(tasks[i]))).toContain(
        `p${i}: a decoding thread cannot take it (Error: out of memory)`,
      )
    }
  })

  test('a thread that breaks down costs the image it was on, and is replaced', async () => {
    const { workers, tasks } = begin(1, 4)
    workers[0].reply('ready')
    workers[0].ended('out of memory')
    expect(workers).toHaveLength(2)
    expect(workers[1].jobs).toEqual(['p1', 'p2'])
    workers[1].reply('ready')
    for (let i = 0; i < 3; i++) workers[1].finish()
    expect(await widths(tasks.slice(1))).toEqual([1, 2, 3])
    const error = await rejection(tasks[0])
    expect(error).toBeInstanceOf(DataError)
    expect(String(error)).toContain('p0: the decoding thread broke down on this image (out of memory)')
  })

  test('a message that cannot be read, there or back, costs its image only', async () => {
    const { workers, tasks } = begin(1, 3)
    workers[0].reply('ready')
    workers[0].jobs.shift()
    workers[0].reply('unread')
    workers[0].finish()
    workers[0].finish()
    const error = await rejection(tasks[0])
    expect(error).toBeInstanceOf(DataError)
    expect(String(error)).toContain('p0: a message to or from its decoding thread could not be read')
    expect(await widths(tasks.slice(1))).toEqual([1, 2])
  })

  test('a thread that never starts is not tried for ever', async () => {
    const { workers, pool, tasks } = begin(1, 4)
    workers[0].ended('no such module')
    expect(workers).toHaveLength(1)
    for (const task of tasks) expect(String(await rejection(task))).toContain('cannot start (no such module)')
    // Images that were refused are not decoded behind the back of whoever asked.
    void pool.decode({ path: 'p9' })
    expect(workers[1].jobs).toEqual(['p9'])
  })

  test('fewer threads than wanted, where the system allows no more, do the work of all', async () => {
    const { all, start } = new Workers()
    let asked = 0
    const limited: StartThread = (events) => {
      asked++
      if (all.length === 3) throw new Error('EAGAIN')
      return start(events)
    }
    const pool = new ThreadedDecodePool(9, limited)
    const tasks = Array.from({ length: 9 }, (_, i) => pool.decode({ path: `p${i}` }))
    const [a, b, late] = all
    a.reply('ready')
    late.ended('EAGAIN')
    for (let i = 0; i < 9; i++) (a.jobs.length > 0 ? a : b).finish()
    expect(await widths(tasks)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    expect([asked, all.length]).toEqual([4, 3])
    await pool.close()
  })

  test('that no thread starts is said once, and all images are decoded without', async () => {
    const { all, start } = new Workers()
    const said: string[] = []
    const decode = ({ path }: DecodeJob) =>
      Promise.resolve({ width: Number(path.slice(1)), height: 1, data: new Uint8Array() })
    const pool = new ThreadedDecodePool(2, start, { decode, say: (reason) => void said.push(reason) })
    const tasks = Array.from({ length: 6 }, (_, i) => pool.decode({ path: `p${i}` }))
    for (const worker of [...all]) worker.ended('no such file')
    expect(await widths([...tasks, pool.decode({ path: 'p6' })])).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect([said, all.length]).toEqual([['no such file'], 2])
  })

  test.each([1, 3])('%i threads that cannot even be asked to start are as those that never start', async (threads) => {
    const invalid = () => {
      throw new TypeError('Invalid URL')
    }
    const pool = new ThreadedDecodePool(threads, invalid)
    const tasks = ['a', 'b'].map((path) => pool.decode({ path }))
    for (const task of tasks) expect(String(await rejection(task))).toContain('cannot start (Invalid URL)')
    const said: string[] = []
    const pixels: Pixels = { width: 1, height: 1, data: new Uint8Array(4) }
    const instead = { decode: () => Promise.resolve(pixels), say: (reason: string) => void said.push(reason) }
    const here = new ThreadedDecodePool(threads, invalid, instead)
    expect(await Promise.all(['a', 'b'].map((path) => here.decode({ path })))).toEqual([pixels, pixels])
    expect(said).toEqual(['Invalid URL'])
  })

  test('closing stops the threads and refuses what is unfinished; a later image starts anew', async () => {
    const { workers, pool, tasks } = begin(2, 5)
    await pool.close()
    expect(workers.map((worker) => worker.stopped)).toEqual([true, true])
    for (const task of tasks) expect(String(await rejection(task))).toContain('closed before this image was done')
    const paths = ['p3', 'p4', 'p5', 'p6', 'p7']
    const again = paths.map((path) => pool.decode({ path }))
    expect(workers).toHaveLength(4)
    // A thread of before that ends late leaves the images of the new threads alone.
    workers[0].ended('exit code 1')
    for (let i = 0; i < 3; i++) workers[2].finish()
    for (let i = 0; i < 2; i++) workers[3].finish()
    expect(await widths(again)).toEqual([3, 4, 5, 6, 7])
  })
})

test('the worker answers in order, hands its pixels over, and survives a bad image', async () => {
  const sent: { reply: DecodeReply; transferred: number }[] = []
  const delays: Record<string, number> = { slow: 20, fast: 0, bad: 0, odd: 0, cut: 0 }
  const serve = serveDecoding(
    async ({ path }) => {
      await new Promise((resolve) => setTimeout(resolve, delays[path]))
      if (path === 'bad') throw new DataError(path, 'the file is empty')
      if (path === 'odd') throw new RangeError('unexpected')
      if (path === 'cut') throw new (class Mangled extends DecodeError {})(path, 'a damaged JPEG')
      return { width: path.length, height: 1, data: new Uint8Array(path.length * 4) }
    },
    (reply, transfer) => {
      sent.push({ reply, transferred: transfer.length })
    },
  )
  for (const path of ['slow', 'bad', 'odd', undefined, 'cut', 'fast']) serve(path === undefined ? path : { path })
  while (sent.length < 7) await new Promise((resolve) => setTimeout(resolve, 1))
  expect(sent).toEqual([
    { reply: 'ready', transferred: 0 },
    { reply: { width: 4, height: 1, data: new Uint8Array(16) }, transferred: 1 },
    { reply: { error: 'bad: the file is empty', kind: 'DataError' }, transferred: 0 },
    { reply: { error: 'odd: could not be decoded (RangeError: unexpected)', kind: 'DataError' }, transferred: 0 },
    { reply: 'unread', transferred: 0 },
    { reply: { error: 'cut: a damaged JPEG', kind: 'DecodeError' }, transferred: 0 },
    { reply: { width: 4, height: 1, data: new Uint8Array(16) }, transferred: 1 },
  ])
})

describe('a message that cannot be read is heard', () => {
  afterEach(() => {
    vi.restoreAllMocks()
    vi.unstubAllGlobals()
  })

  test('of a thread of Node, by the program', async () => {
    vi.spyOn(Worker.prototype, 'postMessage').mockImplementation(function (this: Worker) {
      queueMicrotask(() => this.emit('messageerror', new Error('no memory for it')))
    })
    const pool = nodeDecodePool(1)
    expect(String(await rejection(pool.decode({ path: 'p' })))).toContain('p: a message to or from its decoding thread')
    await pool.close()
  })

  test('of the program, by a thread of Node', async () => {
    const file = new URL('../../dist/src/platform/node/decode-worker.js', import.meta.url)
    const unread = "require('node:worker_threads').parentPort.emit('messageerror', new Error('no memory for it'))"
    const worker = new Worker(`import(${JSON.stringify(file)}).then(() => ${unread})`, { eval: true })
    const replies: unknown[] = []
    worker.on('message', (reply) => replies.push(reply))
    await vi.waitFor(() => expect(replies).toEqual(['ready', 'unread']), { timeout: 20_000 })
    await worker.terminate()
  })

  test('of a Worker, by the page, and of the page, by a Worker', async () => {
    class PageWorker extends EventTarget {
      onmessageerror = () => {}
      postMessage(): void {
        queueMicrotask(() => this.onmessageerror())
      }
      terminate(): void {}
    }
    vi.stubGlobal('Worker', PageWorker)
    const pool = browserDecodePool({ read: () => Promise.resolve(new Uint8Array(1)) } as unknown as BlobFiles, 1)
    expect(String(await rejection(pool.decode({ path: 'p' })))).toContain('p: a message to or from its decoding thread')
    await pool.close()

    const replies: unknown[] = []
    const heard = new EventTarget()
    vi.stubGlobal('postMessage', (reply: unknown) => replies.push(reply))
    vi.stubGlobal('addEventListener', heard.addEventListener.bind(heard))
    await import('../../src/platform/browser/decode-worker.ts')
    heard.dispatchEvent(new Event('messageerror'))
    await vi.waitFor(() => expect(replies).toEqual(['ready', 'unread']))
  })
})
