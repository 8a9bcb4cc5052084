import { CategoryBlock, createNodePlatform, DataBlock, getImageFiles, grandparentSplitter } from 'wgrad'
import { ImageBlock, imagenetStats, normalize, parentLabel, resize, sampleData } from 'wgrad'
import type { Loaders } from 'wgrad/data'
import { openGpuOn, type Platform } from 'wgrad/gpu'
import { ConvLayer, GlobalAvgPool, Init, Linear, Sequential } from 'wgrad/nn'
import { afterAll } from 'vitest'

/**
 * Opens a GPU until the tests of the file have ended, without the lines that `openGpu()` and loaders print: a program of
 * your own calls `await openGpu()` and needs no platform.
 */
export async function openQuietGpu(): Promise<Platform> {
  const platform: Platform = { ...createNodePlatform({ threads: 1 }), log: () => {}, status: undefined }
  const gpu = await openGpuOn(platform)
  afterAll(async () => {
    gpu.close()
    await platform.decoder.close()
  })
  return platform
}

/** Loaders of 100 drawn images in ten classes, 80 to train on, at 24 px in batches of 20. */
export async function drawnImages(platform: Platform): Promise<Loaders> {
  const path = await sampleData({ images: 100, platform })
  return new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: getImageFiles,
    splitter: grandparentSplitter({ valid: 'val' }),
    getY: parentLabel,
    itemTransforms: [resize(24)],
    batchTransforms: [normalize(imagenetStats)],
  }).loaders(path, { batchSize: 20, seed: 1, platform })
}

/** Network of two convolutions and a linear layer for the ten classes. */
export function smallNetwork(): Sequential {
  const init = new Init(1)
  return new Sequential([
    new ConvLayer({ inChannels: 3, outChannels: 8, stride: 2, init }),
    new ConvLayer({ inChannels: 8, outChannels: 16, stride: 2, init }),
    new GlobalAvgPool(),
    new Linear(16, 10, init),
  ])
}
