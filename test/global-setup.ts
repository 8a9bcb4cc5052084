import { embed } from '../shaders/embed.mjs'

/** The shaders under test are always those on disk. */
export default function setup(): void {
  embed()
}
