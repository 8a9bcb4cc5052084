/**
 * An HTTP server that classifies images: a client posts the bytes of a file and receives JSON.
 *
 *   curl --data-binary @cat.jpg http://localhost:8080/
 *   { "label": "cat", "isKnown": true, "top": [{ "label": "cat", "probability": 0.97 }, …] }
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DataError, Learner, loadLearner } from 'wgrad'
import type { Predictor } from 'wgrad/train'
import { afterAll, expect, test } from 'vitest'
import { drawnImages, openQuietGpu, smallNetwork } from './drawn-images.ts'

/** Most bytes of an upload. */
const MOST_BYTES = 20e6

/** Error of a request, with the status of its answer. */
class RequestError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Makes a server of one loaded model. Requests may come at the same time: the model runs for one after the other. */
function predictionServer(predictor: Predictor): Server {
  return createServer((request, response) => {
    const reply = (status: number, content: object) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(content))
    }
    answer(predictor, request).then(
      (content) => reply(200, content),
      (error: unknown) => {
        // A bad image is the client's fault, and the message says what is wrong with it.
        if (error instanceof DataError) reply(400, { error: error.message })
        else if (error instanceof RequestError) reply(error.status, { error: error.message })
        else reply(500, { error: 'the server failed' })
      },
    )
  })
}

async function answer(predictor: Predictor, request: IncomingMessage): Promise<object> {
  if (request.method !== 'POST') throw new RequestError(405, 'POST the bytes of an image')
  const { label, isKnown, top } = await predictor.predict(await bytesOf(request))
  return { label: label ?? null, isKnown, top: top.map((one) => ({ label: one.label, probability: one.probability })) }
}

async function bytesOf(request: IncomingMessage): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of request as AsyncIterable<Uint8Array>) {
    length += part.length
    if (length > MOST_BYTES) throw new RequestError(413, `at most ${MOST_BYTES} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

const platform = await openQuietGpu()
const folder = mkdtempSync(join(tmpdir(), 'wgrad-server-'))
afterAll(() => rmSync(folder, { recursive: true }))

const loaders = await drawnImages(platform)
const model = smallNetwork()
model.architecture = { name: 'small', options: {} }
const learner = new Learner(loaders, model)
await learner.fitOneCycle(1, 1e-2)
const path = join(folder, 'shapes.safetensors')
await learner.export(path)

const predictor = await loadLearner(path, { models: { small: smallNetwork }, platform })
const server = predictionServer(predictor)
await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
afterAll(() => void server.close())
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`

const files = Array.from(loaders.valid.items, (item) => loaders.valid.pictures.items[item])
const post = (body: Uint8Array<ArrayBuffer> | string) => fetch(url, { method: 'POST', body })

test('an image is answered with what the model says of its file, ten requests at a time', async () => {
  const answers = await Promise.all(
    files.slice(0, 10).map(async (file) => {
      const response = await post(new Uint8Array(await readFile(file)))
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json'])
      return (await response.json()) as {
        label: string
        isKnown: boolean
        top: { label: string; probability: number }[]
      }
    }),
  )
  for (const [i, { label, isKnown, top }] of answers.entries()) {
    const expected = await predictor.predict(files[i])
    expect([label, isKnown]).toEqual([expected.label, true])
    expect(top.map((one) => one.label)).toEqual(expected.top.map((one) => one.label))
    expect(top[0].probability).toBeCloseTo(expected.probability, 5)
  }
})

test('a bad image is answered with the reason, and the server goes on', async () => {
  const response = await post('not an image')
  expect(response.status).toBe(400)
  expect(await response.json()).toEqual({ error: expect.stringContaining('not an image (starts 6e 6f 74') })
  const cut = new Uint8Array(await readFile(files[0])).slice(0, 200)
  expect((await post(cut)).status).toBe(400)
  expect((await fetch(url)).status).toBe(405)
  expect((await post(new Uint8Array(MOST_BYTES + 1))).status).toBe(413)
  expect((await post(new Uint8Array(await readFile(files[0])))).status).toBe(200)
})
