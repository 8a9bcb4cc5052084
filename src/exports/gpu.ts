/**
 * `wgrad/gpu`: the device, the platform behind it, and the choice of kernels.
 *
 * @module wgrad/gpu
 */

export { tune, type Tuned, type TuneOptions } from '../ops/convolution/tuner.ts'
export { registerConvolutionKernel, type ConvolutionKernel } from '../ops/convolution/own-kernels.ts'
export { exportChoices, importChoices } from '../ops/convolution/choices.ts'
export { currentGpu, openGpuOn, useGpu, type GpuOptions } from '../gpu/device.ts'
export type { Files, Platform } from '../platform/platform.ts'
export type { Pixels } from '../image/pixels.ts'
export { rng, type Rng } from '../base/rng.ts'
export type { Json } from '../base/json.ts'

// Types that the others are made of, so that all of them can be named
export type { Arena, BufferOwner, BufferPool, BufferView, FreeLists, PoolBuffer } from '../gpu/buffers.ts'
export type { DebugLevel } from '../gpu/debug-level.ts'
export type { KernelFamily } from '../gpu/device.ts'
export type { Kernel, Launch, Operand, TracedTensor } from '../gpu/launch.ts'
export type { Matrices, MatrixSize } from '../gpu/matrices.ts'
export type { ChooseGrid, OnCompile, PipelineAdapter, PipelineCache } from '../gpu/pipeline-cache.ts'
export type { ConstantValue } from '../gpu/prelude.ts'
export type { ProfileRow, Profiler, ProfilerOptions, ReadRows } from '../gpu/profile.ts'
export type { Instruments } from '../gpu/gpu.ts'
export type { CapturedCommands, Command, Queue, RaiseErrors } from '../gpu/queue.ts'
export type { BuiltInShader } from '../gpu/wgsl/names.ts'
export type { LookIndex, Statistics, Summary } from '../gpu/statistics.ts'
export type { Look, Tracer } from '../gpu/trace.ts'
export type { KernelVariant } from '../ops/convolution/families.ts'
export type { ConvolutionPass, ConvolutionSizes } from '../ops/convolution/sizes.ts'
export type { Stopwatch } from '../ops/convolution/trial.ts'
export type { TunedPass } from '../ops/convolution/tuned-table.ts'
export type {
  ArchiveCheck,
  BuffersLayout,
  CompileBeside,
  Datasets,
  DecodePool,
  DecodeRequest,
  DownloadOptions,
  ExtractOptions,
  FileEntry,
  FileGlance,
  KernelText,
  OnBytes,
  WriteOptions,
} from '../platform/platform.ts'
