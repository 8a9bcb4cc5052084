import { fileURLToPath, pathToFileURL } from 'node:url'

const PRELOADED = new URL('press-ctrl-c.mjs', import.meta.url)

/**
 * Returns the environment of a command that is sent a signal as soon as it prints something: between that line and what the
 * command does next, however busy the machine is.
 *
 * @param at  text of its standard output at which the signal is sent
 */
export function pressing(at: RegExp, signal: 'SIGINT' | 'SIGTERM' = 'SIGINT'): NodeJS.ProcessEnv {
  const preload = `--import=${pathToFileURL(fileURLToPath(PRELOADED)).href}`
  return { ...process.env, NODE_OPTIONS: preload, PRESS_AT: at.source, PRESS_SIGNAL: signal }
}
