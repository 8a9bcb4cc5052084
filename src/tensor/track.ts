/** Tracks of a profile, the parts of a training step in their order. Data is its part on the GPU: augmentation and mixup. */
export const TRACKS = ['data', 'forward', 'backward', 'optimizer'] as const

export type Track = (typeof TRACKS)[number]

let current: Track = 'forward'

/** Track of launches that name none themselves: `forward`, or what `onTrack` has set. */
export function currentTrack(): Track {
  return current
}

/** Runs work whose launches belong to a track. */
export function onTrack<Result>(track: Track, work: () => Result): Result {
  const before = current
  current = track
  try {
    return work()
  } finally {
    current = before
  }
}
