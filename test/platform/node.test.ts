import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { DataError, DeviceError } from '../../src/base/errors.ts'
import { openGpuOn } from '../../src/gpu/device.ts'
import { getImageFiles, loadLearner } from '../../src/node.ts'
import { chooseGpu, createGpu, defaultGpuOptions, useWideVectors, waitFor } from '../../src/platform/node/gpu.ts'
import { createNodePlatform } from '../../src/platform/node/index.ts'
import { onInterrupt } from '../../src/platform/node/terminal.ts'

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

describe('the GPU', () => {
  test('one entry point a platform, and the constants of WebGPU', async () => {
    const platform = createNodePlatform({ threads: 0 })
    expect(await platform.gpu()).toBe(await platform.gpu())
    expect(GPUBufferUsage.STORAGE).toBe(0x80)
    const adapter = await (await platform.gpu()).requestAdapter()
    if (adapter === null) throw new Error('no WebGPU adapter on this machine')
    const device = await adapter.requestDevice()
    const buffer = device.createBuffer({ size: 4, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ })
    device.queue.writeBuffer(buffer, 0, Uint32Array.of(42))
    await platform.waitFor(device.queue.onSubmittedWorkDone())
    await platform.waitFor(buffer.mapAsync(GPUMapMode.READ))
    expect(new Uint32Array(buffer.getMappedRange())[0]).toBe(42)
    device.destroy()
  })

  test('a software adapter is opened where one is asked for, or there is a message', async () => {
    const platform = createNodePlatform({ threads: 0 })
    expect(await platform.gpu(true)).not.toBe(await platform.gpu())
    const name = await openGpuOn(platform, { adapter: 'software' }).then(
      (gpu) => gpu.software,
      (error: Error) => error.message,
    )
    // Not every machine has one; the one that these tests are set up on has.
    const found = (await (await platform.gpu()).requestAdapter())?.info.description ?? ''
    expect(name).toEqual(found.includes('llvmpipe') ? true : expect.anything())
    if (name !== true) expect(name).toContain('no software adapter was found')
    vi.stubEnv('GPU', 'software')
    await expect(
      openGpuOn(platform).then(
        (gpu) => gpu.software,
        () => false,
      ),
    ).resolves.toBe(name === true)
  })

  test('a binding that does not load is told with its cause, and with what it needs', async () => {
    const cause = new Error("/lib/libc.so.6: version `GLIBC_2.34' not found (required by dawn.node)\nsecond line")
    const error: unknown = await createGpu([], () => Promise.reject(cause)).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(DeviceError)
    expect(error).toMatchObject({ cause })
    const [what, reason, system, expected, fix] = (error as Error).message.split('\n')
    expect(what).toBe("openGpu: Dawn's binding (package webgpu) does not load")
    expect(reason).toBe(`  reason  ${cause.message.split('\n')[0]}`)
    expect(system).toMatch(
      process.platform === 'linux'
        ? /^  system  linux \w+, (glibc \d+\.\d+|no glibc)$/
        : `  system  ${process.platform}`,
    )
    expect(expected).toContain('glibc 2.34')
    expect(fix).toContain('npm ci')
    expect(fix).not.toContain('Vulkan')
  })

  test("is Dawn's, or the runtime's own where that is asked for or Dawn does not load", async () => {
    const asked: unknown[] = []
    const requestAdapter = async (options: unknown) => {
      asked.push(options)
      return null
    }
    const own = { requestAdapter } as unknown as GPU
    const other = {} as GPU
    const lines: string[] = []
    const log = (line: string) => void lines.push(line)
    const given: string[][] = []
    const dawn = async (options: string[]) => {
      given.push(options)
      return other
    }
    const broken = () => Promise.reject(new DeviceError('openGpu', 'does not load', { cause: new Error('no glibc') }))
    expect(await chooseGpu(undefined, false, { dawn, runtime: own, log })).toBe(other)
    expect(await chooseGpu('dawn', true, { dawn, runtime: own, log })).toBe(other)
    expect(given.map((options) => options.some((option) => option.startsWith('adapter=')))).toEqual([false, true])
    expect(await chooseGpu('runtime', false, { dawn: broken, runtime: own, log })).toBe(own)
    expect(lines).toEqual([])
    expect(await chooseGpu(undefined, false, { dawn: broken, runtime: own, log })).toBe(own)
    expect(lines).toEqual([expect.stringMatching(/own WebGPU computes: no glibc$/)])
    // A software adapter is asked for as a page does.
    await (await chooseGpu('runtime', true, { dawn, runtime: own, log })).requestAdapter({ featureLevel: 'core' })
    expect(asked).toEqual([{ featureLevel: 'core', forceFallbackAdapter: true }])
    await expect(chooseGpu('dawn', false, { dawn: broken, runtime: own, log })).rejects.toThrow('does not load')
    await expect(chooseGpu(undefined, false, { dawn: broken, runtime: undefined, log })).rejects.toThrow(
      'does not load',
    )
    const none = chooseGpu('runtime', false, { dawn, runtime: undefined, log })
    await expect(none).rejects.toThrow('openGpu: this runtime has no WebGPU of its own')
    vi.stubEnv('WEBGPU', 'wgpu')
    expect(() => createNodePlatform({ threads: 0 }).gpu()).toThrow('WEBGPU is not one of its values')
  })

  test('options of Dawn: the null backend compiles and runs nothing', async () => {
    const adapter = await (await createGpu(['backend=null'])).requestAdapter()
    expect(adapter?.info.device).toBe('null-backend')
    const device = await adapter?.requestDevice()
    device?.pushErrorScope('validation')
    device?.createShaderModule({ code: 'fn broken( {' })
    expect((await device?.popErrorScope())?.message).toContain("expected ')'")
  })

  test('Mesa computes with vectors of 512 bits where the processor can, unless told otherwise', () => {
    const all = ['avx2', 'avx512f', 'avx512bw', 'avx512dq', 'avx512vl']
    const width = (flags: string[], set?: string) => {
      vi.stubEnv('LP_NATIVE_VECTOR_WIDTH', set)
      useWideVectors(new Set(flags))
      return process.env['LP_NATIVE_VECTOR_WIDTH']
    }
    expect([width(all), width(all, '128'), width(all.slice(0, 4)), width([])]).toEqual([
      '512',
      '128',
      undefined,
      undefined,
    ])
  })

  test('robustness is off unless asked for', () => {
    expect(defaultGpuOptions(false)[0]).toContain('disable_robustness')
    expect(defaultGpuOptions(true)[0]).not.toContain('disable_robustness')
  })
})

describe('waiting', () => {
  test('passes on the value and the error', async () => {
    expect(await waitFor(Promise.resolve(3))).toBe(3)
    await expect(waitFor(Promise.reject(new Error('lost')))).rejects.toThrow('lost')
    expect(await waitFor(Promise.resolve(4), { sleepMs: 0 })).toBe(4)
  })

  test('lets the thread sleep: it uses little processor time', async () => {
    const before = process.cpuUsage()
    await waitFor(new Promise((resolve) => setTimeout(resolve, 300)))
    const { user, system } = process.cpuUsage(before)
    // Turning without a pause takes all 300 ms, and sleeping takes a tenth of it.
    expect((user + system) / 1000).toBeLessThan(150)
  })

  test('still serves messages of other threads', async () => {
    const worker = new Worker(
      `
      const { parentPort } = require('node:worker_threads')
      parentPort.on('message', (n) => parentPort.postMessage(n + 1))`,
      { eval: true },
    )
    const count = new Promise<number>((resolve) => {
      worker.on('message', (n: number) => {
        if (n === 50) resolve(n)
        else worker.postMessage(n)
      })
    })
    worker.postMessage(0)
    expect(await waitFor(count)).toBe(50)
    await worker.terminate()
  })

  test('several at once, and again after a pause', async () => {
    const after = (timeMs: number): Promise<number> => new Promise((resolve) => setTimeout(resolve, timeMs, timeMs))
    expect(await Promise.all([5, 10, 1].map((timeMs) => waitFor(after(timeMs))))).toEqual([5, 10, 1])
    await after(3)
    expect(await waitFor(after(2))).toBe(2)
  })
})

describe('the terminal', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('the first %s asks, a later one ends the program, and none after unsubscribing', (signal, code) => {
    const exit = vi.spyOn(process, 'exit').mockImplementation((() => undefined) as never)
    const now = vi.spyOn(performance, 'now').mockReturnValue(1000)
    const before = process.listenerCount(signal)
    let asked = 0
    const unsubscribe = onInterrupt(() => {
      asked++
    })
    const handler = process.listeners(signal).at(-1) as (signal: string) => void
    handler(signal)
    expect(asked).toBe(1)
    // One press, which the terminal and npm have sent.
    now.mockReturnValue(1010)
    handler(signal)
    expect(exit).not.toHaveBeenCalled()
    now.mockReturnValue(2000)
    handler(signal)
    expect(exit).toHaveBeenCalledWith(code)
    expect(asked).toBe(1)
    unsubscribe()
    expect(process.listenerCount(signal)).toBe(before)
  })

  test('a status only on a terminal, erased before a line is printed', () => {
    const tty = Object.getOwnPropertyDescriptor(process.stderr, 'isTTY')
    const columns = Object.getOwnPropertyDescriptor(process.stderr, 'columns')
    const written: string[] = []
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      written.push(String(text))
      return true
    })
    vi.spyOn(console, 'log').mockImplementation((line: string) => {
      written.push(`${line}\n`)
    })
    try {
      Object.defineProperty(process.stderr, 'isTTY', { value: false, configurable: true })
      expect(createNodePlatform({ threads: 0 }).status).toBeUndefined()
      Object.defineProperty(process.stderr, 'isTTY', { value: true, configurable: true })
      Object.defineProperty(process.stderr, 'columns', { value: 10, configurable: true })
      const { status, log } = createNodePlatform({ threads: 0 })
      status?.('0123456789abc')
      Object.defineProperty(process.stderr, 'columns', { value: 0, configurable: true })
      status?.('of unknown width')
      log('done')
      log('again \x1b[2J')
    } finally {
      for (const [name, was] of [
        ['isTTY', tty],
        ['columns', columns],
      ] as const) {
        if (was === undefined) Reflect.deleteProperty(process.stderr, name)
        else Object.defineProperty(process.stderr, name, was)
      }
    }
    expect(written).toEqual([
      ...['\r012345678\x1b[K', '\rof unknown width\x1b[K', '\r\x1b[K', 'done\n', 'again \\x1b[2J\n'],
    ])
  })
})

test('a setting that is empty is not set', () => {
  const { env } = createNodePlatform({ threads: 0 })
  vi.stubEnv('WGRAD_TEST_SETTING', '7')
  expect(env('WGRAD_TEST_SETTING')).toBe('7')
  vi.stubEnv('WGRAD_TEST_SETTING', '')
  expect(env('WGRAD_TEST_SETTING')).toBeUndefined()
  vi.unstubAllEnvs()
})

test('a platform that is undefined is not given, so that no GPU has to be open', async () => {
  await expect(getImageFiles('no-such-folder', { platform: undefined })).rejects.toThrow(DataError)
  await expect(loadLearner('no-such-file', { platform: undefined })).rejects.toThrow(DataError)
})
