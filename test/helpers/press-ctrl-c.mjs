/**
 * Loaded before a command (`node --import`) by `pressing` of command.ts: sends the process the signal PRESS_SIGNAL as soon as it
 * prints what PRESS_AT matches. A test that reads the output and sends the signal itself may come after the command's end.
 */
import { isMainThread } from 'node:worker_threads'

const { PRESS_AT, PRESS_SIGNAL } = process.env
const write = process.stdout.write
let printed = ''

if (isMainThread && PRESS_AT !== undefined) {
  process.stdout.write = function (text, ...rest) {
    printed += String(text)
    if (new RegExp(PRESS_AT).test(printed)) {
      process.stdout.write = write
      process.kill(process.pid, PRESS_SIGNAL)
    }
    return write.call(this, text, ...rest)
  }
}
