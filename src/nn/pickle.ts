/**
 * Python's pickles as data. A pickle is a program for a stack machine that may call any function of Python; this reader
 * knows the instructions that build values, and leaves every call to its caller, who allows a few by name.
 *
 * Source: CPython Lib/pickle.py and Lib/pickletools.py, protocols 2 to 4.
 */
import { DataError } from '../base/errors.ts'
import { utf8Text } from '../base/utf8.ts'

/** A dictionary is a Map; a list and a tuple are arrays; None is null; other objects are what `call` made. */
export type PickleValue = unknown

/** Globals that a pickle may name besides plain values. */
export interface PickleCalls {
  /** Result of a call of a function or class. @param name  module and name: `collections.OrderedDict` */
  call(name: string, args: readonly PickleValue[]): PickleValue
  /** Object that the pickle refers to by an identifier of its own. */
  persistent(id: PickleValue): PickleValue
  /** True if the pickle may name it. */
  allows(name: string): boolean
}

/** A function or class by its name; nothing of it is ever executed. */
export class PickleGlobal {
  readonly name: string

  constructor(name: string) {
    this.name = name
  }
}

/** Marks a place on the stack. */
const MARK = Symbol('mark')

/**
 * The value that a pickle describes.
 *
 * @param path  named in errors
 * @throws DataError  for a function or class that is not allowed, an instruction of another kind, or a damaged pickle
 */
export function readPickle(path: string, bytes: Uint8Array, calls: PickleCalls): PickleValue {
  return new Machine(path, bytes, calls).run()
}

class Machine {
  private readonly path: string
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private readonly calls: PickleCalls
  private readonly stack: PickleValue[] = []
  private readonly memo = new Map<number, PickleValue>()
  private at = 0

  constructor(path: string, bytes: Uint8Array, calls: PickleCalls) {
    this.path = path
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.calls = calls
  }

  run(): PickleValue {
    for (;;) {
      const code = this.byte()
      if (code === STOP) return this.pop()
      const instruction = INSTRUCTIONS.get(code)
      if (!instruction) {
        throw new DataError(this.path, 'its pickle has an instruction that weights do not need', {
          given: { instruction: `0x${code.toString(16)} at byte ${this.at - 1}` },
          fix: SAVE_STATE,
        })
      }
      instruction(this)
    }
  }

  push(value: PickleValue): void {
    this.stack.push(value)
  }

  pop(): PickleValue {
    const value = this.stack.pop()
    if (value === undefined || value === MARK) throw this.damaged()
    return value
  }

  top(): PickleValue {
    const value = this.stack.at(-1)
    if (value === undefined || value === MARK) throw this.damaged()
    return value
  }

  /** Pops the values above the last mark, and the mark. */
  popMarked(): PickleValue[] {
    const mark = this.stack.lastIndexOf(MARK)
    if (mark < 0) throw this.damaged()
    const values = this.stack.splice(mark)
    return values.slice(1)
  }

  remember(index: number): void {
    this.memo.set(index, this.top())
  }

  recall(index: number): void {
    if (!this.memo.has(index)) throw this.damaged()
    this.push(this.memo.get(index))
  }

  rememberNext(): void {
    this.remember(this.memo.size)
  }

  global(module: PickleValue, name: PickleValue): void {
    if (typeof module !== 'string' || typeof name !== 'string') throw this.damaged()
    const whole = `${module}.${name}`
    if (!this.calls.allows(whole)) {
      throw new DataError(this.path, `its pickle asks for ${whole}, which is not a part of weights`, {
        given: { asked: whole },
        expected: 'tensors by name alone: nothing that a file asks for is executed here',
        fix: SAVE_STATE,
      })
    }
    this.push(new PickleGlobal(whole))
  }

  reduce(): void {
    const args = this.pop()
    const callable = this.pop()
    if (!(callable instanceof PickleGlobal) || !Array.isArray(args)) throw this.damaged()
    this.push(this.calls.call(callable.name, args))
  }

  persistent(): void {
    this.push(this.calls.persistent(this.pop()))
  }

  setItems(pairs: readonly PickleValue[]): void {
    const dict = this.top()
    if (!(dict instanceof Map) || pairs.length % 2 === 1) throw this.damaged()
    for (let i = 0; i < pairs.length; i += 2) dict.set(pairs[i], pairs[i + 1])
  }

  append(values: readonly PickleValue[]): void {
    const list = this.top()
    if (!Array.isArray(list)) throw this.damaged()
    for (const value of values) list.push(value)
  }

  tuple(count: number): void {
    const values: PickleValue[] = []
    for (let i = 0; i < count; i++) values.unshift(this.pop())
    this.push(values)
  }

  mark(): void {
    this.stack.push(MARK)
  }

  byte(): number {
    return this.number(1, (at) => this.bytes[at])
  }

  number(byteCount: number, read: (at: number) => number): number {
    const at = this.at
    if (at + byteCount > this.bytes.length) throw this.damaged()
    this.at += byteCount
    return read(at)
  }

  u16(): number {
    return this.number(2, (at) => this.view.getUint16(at, true))
  }

  i32(): number {
    return this.number(4, (at) => this.view.getInt32(at, true))
  }

  u32(): number {
    return this.number(4, (at) => this.view.getUint32(at, true))
  }

  f64(): number {
    return this.number(8, (at) => this.view.getFloat64(at, false))
  }

  /** A whole number of that many bytes, in two's complement. */
  long(byteCount: number): number {
    if (byteCount > 8) throw this.damaged()
    let value = 0n
    for (let i = 0; i < byteCount; i++) value |= BigInt(this.byte()) << BigInt(8 * i)
    return Number(BigInt.asIntN(8 * byteCount, value))
  }

  text(byteCount: number): string {
    const end = this.at + byteCount
    if (end > this.bytes.length) throw this.damaged()
    const part = this.bytes.subarray(this.at, end)
    this.at = end
    try {
      return utf8Text(part)
    } catch {
      throw this.damaged()
    }
  }

  /** Text up to the end of a line. */
  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at)
    if (end < 0) throw this.damaged()
    const text = this.text(end - this.at)
    this.at++
    return text
  }

  skip(byteCount: number): void {
    this.number(byteCount, () => 0)
  }

  damaged(): DataError {
    return new DataError(this.path, `a damaged pickle, at byte ${this.at}`, { fix: 'get the file again' })
  }
}

const SAVE_STATE =
  'in Python, save the tensors alone: torch.save(model.state_dict(), path), or safetensors.torch.save_file(model.state_dict(), path)'

const STOP = '.'.charCodeAt(0)
const letter = (name: string) => name.charCodeAt(0)

/** Instructions by their code. */
const INSTRUCTIONS: ReadonlyMap<number, (machine: Machine) => void> = new Map<number, (machine: Machine) => void>([
  // PROTO, FRAME
  [0x80, (m) => m.skip(1)],
  [0x95, (m) => m.skip(8)],
  // None, True, False
  [letter('N'), (m) => m.push(null)],
  [0x88, (m) => m.push(true)],
  [0x89, (m) => m.push(false)],
  // BININT, BININT1, BININT2, LONG1, BINFLOAT
  [letter('J'), (m) => m.push(m.i32())],
  [letter('K'), (m) => m.push(m.byte())],
  [letter('M'), (m) => m.push(m.u16())],
  [0x8a, (m) => m.push(m.long(m.byte()))],
  [letter('G'), (m) => m.push(m.f64())],
  // BINUNICODE, SHORT_BINUNICODE
  [letter('X'), (m) => m.push(m.text(m.u32()))],
  [0x8c, (m) => m.push(m.text(m.byte()))],
  // MARK, TUPLE, EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3
  [letter('('), (m) => m.mark()],
  [letter('t'), (m) => m.push(m.popMarked())],
  [letter(')'), (m) => m.push([])],
  [0x85, (m) => m.tuple(1)],
  [0x86, (m) => m.tuple(2)],
  [0x87, (m) => m.tuple(3)],
  // EMPTY_LIST, APPEND, APPENDS
  [letter(']'), (m) => m.push([])],
  [letter('a'), (m) => m.append([m.pop()])],
  [letter('e'), (m) => m.append(m.popMarked())],
  // EMPTY_DICT, SETITEM, SETITEMS
  [letter('}'), (m) => m.push(new Map())],
  [
    letter('s'),
    (m) => {
      const value = m.pop()
      m.setItems([m.pop(), value])
    },
  ],
  [letter('u'), (m) => m.setItems(m.popMarked())],
  // GLOBAL, STACK_GLOBAL
  [letter('c'), (m) => m.global(m.line(), m.line())],
  [
    0x93,
    (m) => {
      const name = m.pop()
      m.global(m.pop(), name)
    },
  ],
  // REDUCE, NEWOBJ, BINPERSID; BUILD gives an object attributes, such as a dictionary's `_metadata`
  [letter('R'), (m) => m.reduce()],
  [0x81, (m) => m.reduce()],
  [letter('Q'), (m) => m.persistent()],
  [letter('b'), (m) => void m.pop()],
  // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
  [letter('q'), (m) => m.remember(m.byte())],
  [letter('r'), (m) => m.remember(m.u32())],
  [0x94, (m) => m.rememberNext()],
  [letter('h'), (m) => m.recall(m.byte())],
  [letter('j'), (m) => m.recall(m.u32())],
])
