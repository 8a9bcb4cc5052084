import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { AxeResults } from 'axe-core'
import { unzipSync, zipSync } from 'fflate'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readSafetensors } from '../../src/exports/nn.ts'
import { runOnnx } from '../helpers/onnx-runtime.ts'
import { executablePath, openBrowser, openSite, openTab, root, textOf, type Site } from './site.ts'

const first = '[data-training=first]'

/** Weights that the page ships. */
const weights = join(root, 'bench', 'page', 'public', 'weights.safetensors')

/** Waits for a training to be in a phase. */
const phase = (page: Page, part: string, name: string) => page.locator(`${part}[data-phase=${name}]`).waitFor()

const figure = async (page: Page, part: string, name: string): Promise<string> =>
  textOf(page, `${part} [data-figure="${name}"]`)

/** Waits until a training shows its first loss. */
async function firstLoss(page: Page, part: string): Promise<number> {
  await page.waitForFunction(
    (selector) => /\d/.test(document.querySelector(`${selector} [data-figure=loss]`)?.textContent ?? ''),
    part,
  )
  return Number(await figure(page, part, 'loss'))
}

/** Stops the first training before its first step, for tests of something else: its kernels take long to compile. */
async function stopFirst(page: Page): Promise<void> {
  await page.locator(`${first}[data-phase]`).waitFor()
  await page.locator(`${first} .controls button`).click()
  await phase(page, first, 'stopped')
}

/** Lets a page load, but for one file, which the server then has as before. @returns  function that gives it back */
async function without(page: Page, file: string): Promise<() => Promise<void>> {
  const pattern = `**/${file}`
  await page.route(pattern, (route) => route.abort())
  return () => page.unroute(pattern)
}

/** A zip of eight pictures of each of two classes, as a file to choose, and one of them. */
function someOwn({ folder }: Site) {
  const pictures = unzipSync(readFileSync(join(folder, 'pictures.zip')))
  const paths = Object.keys(pictures)
  const some = ['ring', 'stripes'].flatMap((kind) => paths.filter((path) => path.includes(`/${kind}/`)).slice(0, 8))
  const zip = zipSync(Object.fromEntries(some.map((path) => [`mine/${path}`, pictures[path]])), { level: 0 })
  const file = { name: 'mine.zip', mimeType: 'application/zip', buffer: Buffer.from(zip) }
  return { file, ring: Buffer.from(pictures[some[0]]) }
}

/** Gives the page those pictures. */
async function giveSomeOwn(page: Page, site: Site): Promise<void> {
  await page.locator('#files').setInputFiles(someOwn(site).file)
  await page.getByText('16 pictures added.').waitFor()
}

describe.skipIf(executablePath === undefined)('the page', () => {
  let site: Site
  let browser: Browser

  beforeAll(async () => {
    ;[site, browser] = await Promise.all([openSite(['--images', '240']), openBrowser()])
  })
  afterAll(async () => {
    await browser?.close()
    site?.close()
  })

  test('trains by itself: the loss falls, captions turn right, nothing comes from elsewhere', async () => {
    const { page, errors, addresses, close } = await openTab(browser)
    await page.goto(site.url)
    await page.locator('#adapter.slow').waitFor()
    expect(await textOf(page, '#adapter')).toMatch(/swiftshader.*software adapter/i)
    const begin = await firstLoss(page, first)
    // ln 6 for six classes, and what random outputs add.
    expect(begin).toBeGreaterThan(1.2)
    expect(begin).toBeLessThan(3)
    expect(await page.locator(`${first} .tiles img`).count()).toBe(12)
    await page.locator(`${first} .tiles .right, ${first} .tiles .wrong`).first().waitFor()
    const before = await page.locator(`${first} figcaption`).allTextContents()
    await phase(page, first, 'finished')
    expect(Number(await figure(page, first, 'loss'))).toBeLessThan(0.75 * begin)
    // A guess is a sixth.
    expect(parseInt(await figure(page, first, 'accuracy'), 10)).toBeGreaterThan(34)
    expect(Number(await figure(page, first, 'images per second'))).toBeGreaterThan(0)
    expect(await page.locator(`${first} .tiles .right`).count()).toBeGreaterThanOrEqual(5)
    expect(await page.locator(`${first} figcaption`).allTextContents()).not.toEqual(before)
    expect(await textOf(page, '[data-source=first]')).toContain('new DataBlock({')
    expect(await textOf(page, '#origin')).toContain('drawings')
    await page.locator('#show-layers').click()
    await page.locator('#inside-result table').waitFor()
    expect(await textOf(page, '#inside-result')).toContain('conv 3×3 / 2')
    expect(await textOf(page, '#inside-status')).toContain('10 layers')
    expect(addresses.filter((address) => !address.startsWith(site.url) && !/^(blob|data):/.test(address))).toEqual([])
    expect(errors).toEqual([])
    await close()
  })

  test('starts once the server answers, stops when told, also before the first step, and continues', async () => {
    const { page, errors, close } = await openTab(browser)
    const giveBack = await without(page, 'pictures.zip')
    await page.goto(site.url)
    const button = page.locator(`${first} .controls button`)
    await page.getByText('pictures.zip cannot be loaded').waitFor()
    expect(await button.textContent()).toBe('Start again')
    await giveBack()
    await button.press('Enter')
    await button.press('Enter')
    await phase(page, first, 'stopped')
    expect(await button.textContent()).toBe('Continue')
    await button.press('Enter')
    await firstLoss(page, first)
    expect(await figure(page, first, 'epoch')).toBe('1 of 10')
    // It was not disabled meanwhile, so that it has the keyboard still.
    await page.keyboard.press('Enter')
    await phase(page, first, 'stopped')
    const stopped = await figure(page, first, 'loss')
    await page.waitForTimeout(1500)
    expect(await figure(page, first, 'loss')).toBe(stopped)
    await button.press('Enter')
    await phase(page, first, 'training')
    await close()
    expect(errors).toEqual([])
  })

  test('takes pictures while the adapter still opens, and says where that fails', async () => {
    const { page, errors, close } = await openTab(browser)
    const waiting: (() => Promise<void>)[] = []
    await page.route('**/trainer*.js', (route) => void waiting.push(() => route.abort()))
    await page.goto(site.url)
    // The page has an adapter; the worker, which opens it, has not even loaded.
    await page.locator('#adapter.slow').waitFor()
    await giveSomeOwn(page, site)
    expect(waiting.length).toBeGreaterThan(0)
    for (const refuse of waiting) await refuse()
    await page.locator('#adapter.none').waitFor()
    expect(errors).toEqual([])
    await close()
  })

  test('learns a zip of the visitor, shows its mistakes, and lets the model go as files', async () => {
    const { page, errors, close } = await openTab(browser)
    await page.goto(site.url)
    await stopFirst(page)
    await giveSomeOwn(page, site)
    const names = await page
      .locator('#classes li > input')
      .evaluateAll((inputs) => inputs.map((input) => (input as HTMLInputElement).value))
    expect(names.sort()).toEqual(['ring', 'stripes'])
    await page.locator('input[value=nothing]').check()
    await page.locator('input[name=epochs]').fill('1')
    await page.locator('#train').click()
    const own = '[data-training=own]'
    await phase(page, own, 'compiling')
    // The other training waits for its turn, and is stopped without this one.
    const other = page.locator(`${first} .controls button`)
    await other.click()
    await page.getByText('Waiting for the other training to end').waitFor()
    await other.click()
    await phase(page, first, 'stopped')
    expect(await page.locator(own).getAttribute('data-phase')).toMatch(/compiling|training/)
    await phase(page, own, 'finished')
    await page.locator('#mistakes .ready').waitFor()
    expect(await textOf(page, '#mistakes-status')).toMatch(/^\d+% of 2 pictures/)
    const cells = await page.locator('#confusion td').allTextContents()
    expect(cells.map(Number).reduce((sum, count) => sum + count, 0)).toBe(2)
    expect((await page.locator('#worst li').count()) > 0).toBe(!(await page.locator('#none-hard').isVisible()))

    for (const id of ['show-layers', 'time-kernels']) {
      await page.locator(`#${id}`).click()
      await page.locator('#inside-result table').waitFor()
      await page.locator('#inside-cancel').waitFor({ state: 'hidden' })
    }
    for (const source of await page.locator('details').all()) {
      await source.evaluate((details) => ((details as HTMLDetailsElement).open = true))
    }
    await breaksNoRule(page)

    // After one epoch it is sure of little, of those that it was trained on neither.
    const hard = page.locator('#worst li')
    expect(await hard.filter({ hasText: 'trained on' }).count()).toBeGreaterThan(0)
    await hard.first().getByRole('button', { name: 'Remove' }).click()
    await page.getByText('Picture removed. Train again').waitFor()
    const counts = await page.locator('#classes .count').allTextContents()
    expect(counts.map((text) => parseInt(text, 10)).reduce((sum, count) => sum + count, 0)).toBe(15)
    // Going on would need the picture that is gone.
    const again = page.locator('[data-training=own] .controls button')
    expect(await again.textContent()).toBe('Train again')
    await again.click()
    await page.locator('#mistakes .ready').waitFor({ state: 'hidden' })
    await page.locator('#mistakes .ready').waitFor()
    expect(await again.textContent()).toMatch(/^Train 4 more epochs|^Continue/)

    const saved = async (format: string): Promise<Uint8Array> => {
      const [download] = await Promise.all([page.waitForEvent('download'), page.locator(`#save-${format}`).click()])
      expect(download.suggestedFilename()).toBe(`model.${format}`)
      return readFileSync(await download.path())
    }
    const model = readSafetensors('model.safetensors', await saved('safetensors'))
    expect(JSON.parse(model.metadata['wgrad'])).toMatchObject({ vocab: ['ring', 'stripes'] })
    expect(model.tensors.size).toBeGreaterThan(50)
    const shape = [1, 3, 48, 48]
    const { probabilities } = await runOnnx(await saved('onnx'), new Float32Array(3 * 48 * 48).fill(0.5), shape)
    expect(probabilities.shape).toEqual([1, 2])
    expect(probabilities.data[0] + probabilities.data[1]).toBeCloseTo(1, 4)

    for (const name of ['my model', 'my model (2)']) {
      await page.locator('#keep').click()
      await page.getByText(`“\u2068${name}\u2069” is kept in this browser`).waitFor()
    }
    await page.reload()
    await stopFirst(page)
    await page.locator('#kept button').first().click()
    await page.getByText('is open: try it above').waitFor()
    await page
      .locator('#try-input')
      .setInputFiles({ name: 'ring.jpg', mimeType: 'image/jpeg', buffer: someOwn(site).ring })
    await page.locator('#bars li').nth(1).waitFor()
    const percents = await page.locator('#bars b').allTextContents()
    expect(Math.abs(percents.map(parseFloat).reduce((sum, value) => sum + value, 0) - 100)).toBeLessThanOrEqual(1)
    const drawn = () => page.locator('#try-canvas').evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL())
    const plain = await drawn()
    await page.locator('#try-look').check()
    await expect.poll(drawn).not.toBe(plain)
    await page.getByRole('button', { name: 'Forget my model', exact: true }).click()
    await expect.poll(() => page.locator('#kept li > bdi').allTextContents()).toEqual(['my model (2)'])
    expect(errors).toEqual([])
    await close()
  })

  test('begins with the weights that it ships, the head first, and goes on with all of them; below a strict policy', async () => {
    const { page, errors, close } = await openTab(browser)
    // The strictest one that it needs: pictures and the webcam have no address of the server.
    await page.route(site.url, async (route) => {
      const response = await route.fetch()
      const policy = "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:"
      await route.fulfill({ response, headers: { ...response.headers(), 'content-security-policy': policy } })
    })
    const refused: string[] = []
    page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) refused.push(message.text())
    })
    await page.goto(site.url)
    await stopFirst(page)
    await giveSomeOwn(page, site)
    expect(await page.locator('input[value=pretrained]').isChecked()).toBe(true)
    expect(await textOf(page, '#train-hint')).toContain('trained with wgrad')
    await page.locator('input[name=epochs]').fill('1')
    await page.locator('#train').click()
    const own = '[data-training=own]'
    await phase(page, own, 'compiling')
    // Training has the keyboard: its button stops it, before the head alone has learnt for an epoch.
    await page.keyboard.press('Enter')
    await phase(page, own, 'stopped')
    await page.keyboard.press('Enter')
    await phase(page, own, 'finished')
    await page.locator('#mistakes .ready').waitFor()
    // One epoch of the head, and the one that was asked for.
    expect(await figure(page, own, 'epoch')).toBe('2 of 2')
    // Losses of many steps are read at once, which is no speed.
    const speed = Number(await figure(page, own, 'images per second'))
    expect(speed).toBeGreaterThan(0)
    expect(speed).toBeLessThan(2000)
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#save-safetensors').click()])
    const [trained, shipped] = [await download.path(), weights].map((file) => largeTensors(readFileSync(file)))
    expect(trained.length).toBeGreaterThan(5)
    expect(trained.filter((one) => shipped.some((other) => one.equals(other)))).toEqual([])
    await page.locator('#show-layers').click()
    await page.locator('#inside-result .bar span').first().waitFor({ state: 'attached' })
    const widths = await page
      .locator('#inside-result .bar span')
      .evaluateAll((bars) => bars.map((bar) => (bar as HTMLElement).style.width))
    expect(widths).toContain('100%')
    expect([...refused, ...errors]).toEqual([])
    await close()
  })

  test('records classes from the webcam while a button is held, with the keyboard too', async () => {
    const { page, errors, close } = await openTab(browser)
    await page.goto(site.url)
    await stopFirst(page)
    await page.locator('#webcam').click()
    const rows = page.locator('#classes li')
    await rows.nth(1).waitFor()
    const record = (row: number) => rows.nth(row).getByRole('button', { name: /^Hold to record/ })
    const count = async (row: number) => parseInt((await rows.nth(row).locator('.count').textContent()) ?? '', 10)
    await record(0).scrollIntoViewIfNeeded()
    await record(0).hover()
    await page.mouse.down()
    await expect.poll(() => count(0)).toBeGreaterThan(3)
    await page.mouse.up()
    await record(1).focus()
    await page.keyboard.down(' ')
    await expect.poll(() => count(1)).toBeGreaterThan(3)
    await page.keyboard.up(' ')
    await page.waitForTimeout(500)
    const held = [await count(0), await count(1)]
    await page.waitForTimeout(500)
    expect([await count(0), await count(1)]).toEqual(held)
    await page.locator('#classes input').first().fill('left hand')
    // What is dropped becomes a class of its own where no folder names it.
    await page.locator('#drop').evaluate(async (place) => {
      const canvas = new OffscreenCanvas(40, 30)
      canvas.getContext('2d')!.fillRect(0, 0, 20, 20)
      const drop = new DataTransfer()
      for (const name of ['a.png', 'b.png']) drop.items.add(new File([await canvas.convertToBlob()], name))
      drop.items.add(new File(['no picture'], 'c.png'))
      place.dispatchEvent(new DragEvent('drop', { dataTransfer: drop, bubbles: true, cancelable: true }))
    })
    await page.getByText(/2 pictures added\. This browser cannot read .c\.png/).waitFor()
    expect(await count(2)).toBe(2)
    await expect.poll(() => page.locator('#train').isEnabled()).toBe(true)
    await page.locator('#webcam').click()
    expect(await page.locator('#webcam').textContent()).toBe('Use the webcam')
    await page.locator('#borrow').click()
    await page.getByText('60 pictures added.').waitFor()
    expect(await rows.count()).toBe(6)
    expect(errors).toEqual([])
    await close()
  })

  test('says that the GPU was lost, goes on with what it had learnt on a new one, and has its model still', async () => {
    // Its own browser: a crashed GPU process takes every tab along.
    const alone = await openBrowser()
    const { page, close } = await openTab(alone)
    await page.goto(site.url)
    await stopFirst(page)
    await page.locator('#open-input').setInputFiles(weights)
    await page.getByText('is open: try it above').waitFor()
    const button = page.locator(`${first} .controls button`)
    /** Waits for the end of an epoch. @returns  the loss in its training */
    const lossOf = async (epoch: number) => {
      const chart = page.locator(`${first} [aria-label^=Loss][aria-label$="after epoch ${epoch}"]`)
      return Number(/Loss ([\d.]+)/.exec((await chart.getAttribute('aria-label')) ?? '')?.[1])
    }
    await button.click()
    const atFirst = await lossOf(1)
    await lossOf(4)
    const { processInfo } = await (await alone.newBrowserCDPSession()).send('SystemInfo.getProcessInfo')
    const gpuProcess = processInfo.find(({ type }) => type === 'GPU')
    if (!gpuProcess) throw new Error('this browser has no GPU process')
    process.kill(gpuProcess.id, 'SIGKILL')
    await page.getByText('Press Continue: it goes on after epoch').waitFor()
    const said = await textOf(page, `${first} .controls .status`)
    expect(said).toContain('The GPU was lost')
    const done = Number(/after epoch (\d+)\.$/.exec(said)?.[1])
    expect(done).toBeGreaterThan(3)
    expect(await button.textContent()).toBe('Continue')
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#save-safetensors').click()])
    expect(readFileSync(await download.path()).equals(readFileSync(weights))).toBe(true)
    await button.click()
    // From random numbers it would be that of the first epoch again.
    expect(await lossOf(done + 1)).toBeLessThan(0.8 * atFirst)
    await close()
    await alone.close()
  })

  test('compares itself with others: one answers, one fails, one takes too long, and says so; is cancelled', async () => {
    const { page, errors, close } = await openTab(browser)
    // Minutes that a library has pass sixty times as fast.
    await page.addInitScript(() => {
      const real = AbortSignal.timeout.bind(AbortSignal)
      AbortSignal.timeout = (ms) => real(ms / 60)
    })
    const programs = {
      wgrad: "postMessage({ steps: 1 }); postMessage({ firstMs: 90, stepMs: name.startsWith('mixed') ? 40 : 60 })",
      jaxjs: "postMessage({ error: 'no room for its arrays' })",
      tfjs: 'postMessage({ steps: 1 })',
    }
    for (const [library, program] of Object.entries(programs)) {
      await page.route(new RegExp(`/assets/${library}-[^/]*\\.js$`), (route) =>
        route.fulfill({ contentType: 'text/javascript', body: `if (!name.endsWith(' small')) throw 1\n${program}` }),
      )
    }
    await page.goto(site.url)
    await stopFirst(page)
    await page.locator('#compare').click()
    await page.getByText('TensorFlow.js 4.22, float32: 1 step done').waitFor()
    await page.getByText('were compared with those of PyTorch').waitFor()
    const cells = await page
      .locator('#inside-result tbody tr')
      .evaluateAll((rows) => rows.map((row) => [...row.children].slice(0, 4).map(({ textContent }) => textContent)))
    expect(cells).toEqual([
      ['wgrad, mixed precision', '40.0 ms', '200.0', '1.0×'],
      ['wgrad, float32', '60.0 ms', '133.3', '1.5×'],
      ['jax-js 0.1.25, float32', 'no room for its arrays', '', ''],
      ['TensorFlow.js 4.22, float32', 'did not finish within 4 min on this software adapter: 1 step done', '', ''],
    ])
    expect(await page.locator('#compare').isEnabled()).toBe(true)

    // And once more with its own step, then cancelled.
    await page.unrouteAll()
    await page.locator('#compare').click()
    await expect
      .poll(() => textOf(page, '#inside-result tbody tr'))
      .toMatch(/^wgrad, mixed precision[\d.]+ m?s[\d.]+1\.0×$/)
    await page.locator('#inside-cancel').click()
    await page.getByText('Cancelled.').waitFor()
    expect(await page.locator('#compare').isEnabled()).toBe(true)
    expect(errors).toEqual([])
    await close()
  })

  test('fits a phone, stays in place, has a name for everything, and breaks no rule of axe, light and dark', async () => {
    const viewport = { width: 360, height: 740 }
    const { page, errors, close } = await openTab(browser, { viewport, reducedMotion: 'reduce' })
    await page.addInitScript(() => {
      const shifts: number[] = []
      const seen = (list: PerformanceObserverEntryList) =>
        void shifts.push(...list.getEntries().map((entry) => (entry as unknown as { value: number }).value))
      new PerformanceObserver(seen).observe({ type: 'layout-shift', buffered: true })
      Object.assign(globalThis, { shifts })
    })
    await page.goto(site.url)
    await firstLoss(page, first)
    // A good page moves its content by less than a tenth. Source: web.dev, Cumulative Layout Shift.
    const shifts = await page.evaluate(() => (globalThis as unknown as { shifts: number[] }).shifts)
    expect(shifts.reduce((sum, value) => sum + value, 0)).toBeLessThan(0.1)
    await page.locator(`${first} .controls button`).click()
    await page.locator('#webcam').click()
    await page.locator('#classes li').nth(1).waitFor()
    await page.locator('#classes input').first().fill('a'.repeat(60))
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
    for (const landmark of ['banner', 'navigation', 'main', 'contentinfo'] as const) {
      expect(await page.getByRole(landmark).count()).toBe(1)
    }
    expect(await page.locator('h1').count()).toBe(1)
    for (const role of ['button', 'textbox', 'spinbutton', 'radio', 'checkbox', 'img'] as const) {
      expect(await page.getByRole(role).count()).toBe(await page.getByRole(role, { name: /\S/ }).count())
    }
    expect(await page.locator('[role=status]').count()).toBeGreaterThan(4)
    await breaksNoRule(page)
    expect(errors).toEqual([])
    await close()
  })

  test('is used by keyboard alone: from the first link to a model of its own', async () => {
    const { page, errors, close } = await openTab(browser)
    // From the start: Chromium takes a moment to hand its choosers to a test, and until then it cancels them.
    page.on('filechooser', (chooser) => void chooser.setFiles(someOwn(site).file))
    await page.goto(site.url)
    await firstLoss(page, first)
    /** Presses Tab until something has the focus, which has to be seen. */
    const tabTo = async (selector: string, most = 80) => {
      for (let i = 0; i < most; i++) {
        await page.keyboard.press('Tab')
        if (await page.evaluate((wanted) => document.activeElement?.matches(wanted) ?? false, selector)) {
          const outline = await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle)
          expect(outline, selector).not.toBe('none')
          return
        }
      }
      throw new Error(`Tab does not lead to ${selector}`)
    }
    await tabTo('.skip', 1)
    await page.keyboard.press('Enter')
    expect(new URL(page.url()).hash).toBe('#first')
    await tabTo(`${first} .controls button`, 3)
    await page.keyboard.press('Enter')
    await phase(page, first, 'stopped')
    await tabTo('#pick-files')
    await page.keyboard.press('Enter')
    await page.getByText('16 pictures added.').waitFor()
    await tabTo('input[value=pretrained]')
    await page.keyboard.press('ArrowDown')
    await tabTo('input[name=epochs]', 2)
    await page.keyboard.press('Control+A')
    await page.keyboard.type('1')
    await page.keyboard.press('Enter')
    await page.locator('#mistakes .ready').waitFor()
    expect(await figure(page, '[data-training=own]', 'epoch')).toBe('1 of 1')
    await tabTo('#save-onnx')
    const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Space')])
    expect(download.suggestedFilename()).toBe('model.onnx')
    await tabTo('#show-layers')
    await page.keyboard.press('Enter')
    await page.locator('#inside-result table').waitFor()
    expect(errors).toEqual([])
    await close()
  })

  test('says what to do where there is no WebGPU, no adapter, or one that does not open', async () => {
    const { page: broken, errors, close: closeBroken } = await openTab(browser)
    await broken.route(/\/assets\/trainer-[^/]*\.js$/, async (route) => {
      const body = await (await route.fetch()).text()
      const refusal = "GPUAdapter.prototype.requestDevice = () => Promise.reject(new Error('the driver is too old'));"
      await route.fulfill({ contentType: 'text/javascript', body: `${refusal}${body}` })
    })
    await broken.goto(site.url)
    await broken.locator('#adapter.none').waitFor()
    expect(await textOf(broken, '#adapter')).toMatch(/^The graphics adapter does not open\.[^]*the driver is too old/)
    expect(await broken.locator('#own').isVisible()).toBe(false)
    expect(errors).toEqual([])
    await closeBroken()
    const { page, close } = await openTab(browser)
    await page.addInitScript(() => Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined }))
    await page.goto(site.url)
    await page.locator('#adapter.none').waitFor()
    expect(await textOf(page, '#adapter')).toContain('no WebGPU')
    expect(await page.locator('#own').isVisible()).toBe(false)
    await close()
    const without = await openBrowser({ gpu: false })
    const { page: bare } = await openTab(without)
    await bare.goto(site.url)
    await bare.locator('#adapter.none').waitFor()
    expect(await textOf(bare, '#adapter')).toContain('no graphics adapter')
    await without.close()
  })
})

/** Looks at what the page shows now, light and dark. */
async function breaksNoRule(page: Page): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    expect(await violations(page), colorScheme).toEqual([])
    expect(await contrasts(page), colorScheme).toEqual([])
  }
}

/** Contents of the tensors of a file that have more than ten thousand numbers. */
function largeTensors(file: Uint8Array): Buffer[] {
  const { tensors } = readSafetensors('model.safetensors', file)
  const large = [...tensors.values()].filter(({ data }) => data.length > 10_000)
  return large.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength))
}

/** Violations of accessibility rules that axe-core calls serious or critical, in what the page shows now. */
async function violations(page: Page): Promise<string[]> {
  await page.addScriptTag({ path: createRequire(import.meta.url).resolve('axe-core/axe.min.js') })
  const results = await page.evaluate<AxeResults>('axe.run()')
  return results.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 120)}`))
}

/** Texts whose contrast with what is behind them is below 4.5:1. Source: WCAG 2.2, 1.4.3. */
function contrasts(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const numbers = (colour: string) => (/rgba?\(([^)]*)\)/.exec(colour)?.[1] ?? '0,0,0,0').split(/[\s,/]+/).map(Number)
    const luminance = ([r, g, b]: number[]) => {
      const [R, G, B] = [r, g, b].map((value) => {
        const share = value / 255
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
      })
      return 0.2126 * R + 0.7152 * G + 0.0722 * B
    }
    const behind = (element: Element | null): number[] => {
      for (let at = element; at; at = at.parentElement) {
        const colour = numbers(getComputedStyle(at).backgroundColor)
        if ((colour[3] ?? 1) === 1) return colour
      }
      return [255, 255, 255]
    }
    const bad: string[] = []
    for (const element of document.querySelectorAll<HTMLElement>('body *')) {
      const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim())
      if (!own || !element.checkVisibility()) continue
      const [a, b] = [luminance(numbers(getComputedStyle(element).color)), luminance(behind(element))]
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
      if (ratio < 4.5) {
        bad.push(`${element.tagName} ${element.className}: ${ratio.toFixed(2)} “${element.textContent?.slice(0, 30)}”`)
      }
    }
    return bad
  })
}
