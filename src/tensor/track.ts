/** Tracks of a profile: the parts of a training step, in order. `data` is the augmentation and mixup on the GPU. */
export const TRACKS = ['data', 'forward', 'backward', 'optimizer'] as const

export type Track = (typeof TRACKS)[number]

let current: Track = 'forward'

/** Returns the track of launches that give none: `forward`, or that set by `onTrack`. */
export function currentTrack(): Track {
  return current
}

/** Runs work, whose launches belong to the given track. */
export function onTrack<Result>(track: Track, work: () => Result): Result {
  const before = current
  current = track
  try {
    return work()
  } finally {
    current = before
  }
}
