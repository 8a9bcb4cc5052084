import type { BufferView, PoolBuffer } from './buffers.ts'
import type { Gpu } from './gpu.ts'

/** Bytes that are NaN as f32 and as f16, and the largest u32. */
const NAN_BYTES = new Uint8Array(2 ** 20).fill(0xff)

/** Source of NaN for the memory of a GPU. */
export interface NaNFiller {
  /** Overwrites memory with NaN, after all work so far. */
  fill(view: BufferView): void
  /** Makes the pool hand out buffers that are NaN, until the function is called that this returns. */
  fillAcquired(): () => void
  /** Returns the memory of the source itself to the pool. */
  release(): void
}

/** Makes a source of NaN. */
export function nanFiller({ buffers, queue }: Gpu): NaNFiller {
  const { length } = NAN_BYTES
  const block = buffers.acquire(length, 'NaN')
  queue.write(block, 0, NAN_BYTES)
  const fill = ({ buffer, offset, size }: BufferView): void => {
    // Copies, since they keep their place among the launches before and after.
    for (let done = 0; done < size; done += length) {
      const part = Math.min(length, size - done)
      queue.copy({ buffer: block, offset: 0, size: part }, { buffer, offset: offset + done, size: part })
    }
  }
  return {
    fill,
    fillAcquired() {
      const before = buffers.onAcquire
      buffers.onAcquire = (buffer: PoolBuffer) => fill({ buffer, offset: 0, size: buffer.byteLength })
      return () => {
        buffers.onAcquire = before
      }
    },
    release: () => buffers.release(block),
  }
}

/**
 * Runs work on memory that is NaN: new memory holds zeros and used memory old results, so a kernel that leaves a part of its
 * result unwritten would be right by chance.
 */
export function overNaN<Result>(gpu: Gpu, work: () => Result): Result {
  const { fillAcquired, release } = nanFiller(gpu)
  const end = fillAcquired()
  try {
    return work()
  } finally {
    end()
    release()
  }
}
