/** Worker that makes small copies of pictures: photographs of 12 megapixels would fill the memory of a tab. */

/** Shorter side of a copy in pixels: more than any training here looks at. */
const SIDE = 224
const QUALITY = 0.92

async function shrunk(picture: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(picture)
  const scale = Math.min(1, SIDE / Math.min(bitmap.width, bitmap.height))
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)))
  const canvas = new OffscreenCanvas(width, height)
  const drawing = canvas.getContext('2d')!
  // A JPEG file has no transparency: a black drawing on nothing would become all black.
  drawing.fillStyle = 'white'
  drawing.fillRect(0, 0, width, height)
  drawing.imageSmoothingQuality = 'high'
  drawing.drawImage(bitmap, 0, 0, width, height)
  bitmap.close()
  return canvas.convertToBlob({ type: 'image/jpeg', quality: QUALITY })
}

addEventListener('message', ({ data: { id, picture } }: MessageEvent<{ id: number; picture: Blob }>) => {
  void shrunk(picture)
    .catch(() => undefined)
    .then((copy) => postMessage({ id, copy }))
})
