import { byId } from './dom.ts'

let stream: MediaStream | undefined
let opening: Promise<HTMLVideoElement> | undefined

/** Opens the webcam into the page's video, once. @throws Error  in words for the visitor */
export function openCamera(): Promise<HTMLVideoElement> {
  return (opening ??= open().catch((error: unknown) => {
    closeCamera()
    throw error
  }))
}

async function open(): Promise<HTMLVideoElement> {
  const video = byId<HTMLVideoElement>('video')
  const media = (navigator as { readonly mediaDevices?: MediaDevices }).mediaDevices
  if (!media) throw new Error('This page may not use a webcam: it needs https, or localhost.')
  try {
    stream = await media.getUserMedia({ video: { width: 640, height: 480 }, audio: false })
  } catch (error) {
    const denied = error instanceof Error && error.name === 'NotAllowedError'
    throw new Error(
      denied
        ? 'The browser was told not to show the webcam to this page. Allow it beside the address, and press again.'
        : 'No webcam was found, or another program uses it.',
      { cause: error },
    )
  }
  // It was unplugged, or the browser was told to close it.
  for (const track of stream.getTracks()) track.addEventListener('ended', closeCamera)
  video.srcObject = stream
  await video.play()
  byId('camera').hidden = false
  byId('webcam').textContent = 'Close the webcam'
  return video
}

export function closeCamera(): void {
  for (const track of stream?.getTracks() ?? []) track.stop()
  stream = undefined
  opening = undefined
  byId('webcam').textContent = 'Use the webcam'
  byId<HTMLVideoElement>('video').srcObject = null
  byId('camera').hidden = true
}

export function cameraOpen(): boolean {
  return stream !== undefined
}

/** Draws the middle square of a video or a picture. */
export function drawMiddle(
  canvas: HTMLCanvasElement | OffscreenCanvas,
  source: CanvasImageSource,
  width: number,
  height: number,
): CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D {
  const drawing = canvas.getContext('2d', { willReadFrequently: true }) as CanvasRenderingContext2D
  const side = Math.min(width, height)
  drawing.imageSmoothingQuality = 'high'
  drawing.drawImage(source, (width - side) / 2, (height - side) / 2, side, side, 0, 0, canvas.width, canvas.height)
  return drawing
}
