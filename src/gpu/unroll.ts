import { ShaderError } from '../base/errors.ts'
import { shaderPlace } from './shader-source.ts'

/**
 * Pattern of a counting loop that a shader marks for unrolling:
 *
 *     for (var i = 0u; i < DOWN; i++) { // @unroll
 *
 * The bound, and the step unless it is 1, are constant expressions of the shader.
 */
const LOOP = /^(\s*)for \(var (\w+) = 0u; \2 < ([^;]+); \2(?:\+\+| \+= (\w+))\) \{ \/\/ @unroll$/

/** Most copies of a loop body: more than any tile needs, so a larger bound is a mistake. */
const MOST_COPIES = 64

/**
 * Unrolls the marked loops of a shader into one block per turn, with the counter as a constant.
 *
 * Compilers keep an array in registers only if every index is a constant. NVIDIA's Vulkan compiler (580.159) does not
 * unroll loops over 4×2 subgroup matrices by itself, and a product of 4096×4096 matrices took 4.0 ms on an H200 instead
 * of 0.84 ms.
 *
 * Line numbers stay the same, so that those of compiler messages match the file: the copies after the first are on the line
 * of the closing brace.
 *
 * @param name   shader, for messages
 * @param text   module in WGSL, with the declarations of every constant that a bound refers to
 * @throws ShaderError  if a marked loop does not have that form, or its bound is not a constant
 */
export function unroll(name: string, text: string): string {
  const lines = text.split('\n')
  const value = constantsOf(name, text)
  // The last mark belongs to a loop without marked loops inside.
  for (let first = lastMark(lines); first >= 0; first = lastMark(lines)) {
    const [, indent, counter, bound, step] = loopOf(name, lines[first])
    const last = closingLine(name, lines, first)
    const by = step === undefined ? 1 : value(step)
    const copies = Math.ceil(value(bound) / by)
    if (copies > MOST_COPIES) {
      throw new ShaderError(shaderPlace(name), `cannot unroll a loop of ${copies} turns`, {
        expected: `at most ${MOST_COPIES}`,
      })
    }
    const body = lines
      .slice(first + 1, last)
      .map(withoutComment)
      .join(' ')
    const others = Array.from(
      { length: Math.max(0, copies - 1) },
      (_, i) => ` { const ${counter} = ${(i + 1) * by}u; ${body} }`,
    )
    lines[first] = `${indent}{ const ${counter} = 0u;`
    lines[last] = `${indent}}${others.join('')}`
    if (copies === 0) lines.fill('', first, last + 1)
  }
  return lines.join('\n')
}

/**
 * Requires the marked loops of a shader to be such as `unroll` can write out, whatever the values of its constants. Where sizes
 * are a uniform, they stay loops, and a mistake would be found on a GPU only.
 *
 * @throws ShaderError  if a marked loop has another form, or its bound is not a constant
 */
export function requireUnrollable(name: string, text: string): void {
  const value = constantsOf(name, text)
  for (const line of text.split('\n').filter(isMarked)) {
    const [, , , bound, step = '1u'] = loopOf(name, line)
    value(bound)
    value(step)
  }
}

function loopOf(name: string, line: string): RegExpMatchArray {
  const loop = line.match(LOOP)
  if (loop) return loop
  throw new ShaderError(shaderPlace(name), `cannot unroll '${line.trim()}'`, {
    expected: 'for (var i = 0u; i < BOUND; i++) { // @unroll',
  })
}

/**
 * Wraps the bounds of marked loops in a function `counted(bound)`, which returns the bound in a way that no compiler can
 * predict, so that none unrolls the loop. This makes a text compile fast. The function `compute` is left unchanged, and
 * marked loops outside of it must not contain barriers.
 */
export function keepRolled(text: string): string {
  const lines = text.split('\n')
  // Loops in the body of a kernel contain barriers, which require uniform bounds.
  const begin = lines.findIndex((line) => line.startsWith('fn compute('))
  const end = begin < 0 ? -1 : closingLine('compute', lines, begin)
  return lines.map((line, i) => (i >= begin && i <= end ? line : line.replace(BOUND, '$1counted($2)$3'))).join('\n')
}

/** Pattern of the header of a marked loop in three groups: before the bound, bound, after it. */
const BOUND = /(; \w+ < )([^;]+)(; [^;]+ \{ \/\/ @unroll)$/

function lastMark(lines: readonly string[]): number {
  return lines.findLastIndex(isMarked)
}

function isMarked(line: string): boolean {
  return line.endsWith('// @unroll')
}

/** Returns the line of the brace that closes the loop of line `first`. */
function closingLine(name: string, lines: readonly string[], first: number): number {
  let depth = 0
  for (let i = first; i < lines.length; i++) {
    for (const sign of withoutComment(lines[i])) depth += sign === '{' ? 1 : sign === '}' ? -1 : 0
    if (depth === 0) return i
  }
  throw new ShaderError(shaderPlace(name), `'${lines[first].trim()}' is never closed`)
}

function withoutComment(line: string): string {
  return line.replace(/\/\/.*$/, '').trim()
}

/** Returns a function that evaluates u32 expressions of the constants that a module declares. */
function constantsOf(name: string, text: string): (expression: string) => number {
  const declared = new Map(
    [...text.matchAll(/^\s*const (?!shape\b)(\w+)(?:: u32)? = ([^;]+);/gm)].map(([, constant, expression]) => [
      constant,
      expression,
    ]),
  )
  const known = new Map<string, number>()
  const valueOf = (constant: string): number => {
    const expression = declared.get(constant)
    if (expression === undefined) {
      throw new ShaderError(shaderPlace(name), `'${constant}' is not a constant, so its loop cannot be unrolled`)
    }
    const found = known.get(constant) ?? evaluate(name, expression, valueOf)
    known.set(constant, found)
    return found
  }
  return (expression) => evaluate(name, expression, valueOf)
}

/** Precedence and function of WGSL's operators on u32. */
const OPERATORS: Readonly<Record<string, readonly [number, (a: number, b: number) => number]>> = {
  '+': [1, (a, b) => a + b],
  '-': [1, (a, b) => a - b],
  '*': [2, (a, b) => a * b],
  '/': [2, (a, b) => Math.floor(a / b)],
  '%': [2, (a, b) => a % b],
}

/** Evaluates an expression of u32 literals, constants, parentheses and `+ - * / %`. */
function evaluate(name: string, expression: string, valueOf: (constant: string) => number): number {
  const tokens = expression.match(/\w+|[^\s\w]/g) ?? []
  const wrong = () =>
    new ShaderError(shaderPlace(name), `cannot evaluate '${expression}' to unroll a loop`, {
      expected: 'u32 constants and + - * / %',
    })
  let at = 0
  const primary = (): number => {
    const token = tokens[at++] ?? ''
    if (token === '(') {
      const inside = sum(1)
      at++
      return inside
    }
    if (/^\d+u?$/.test(token)) return Number.parseInt(token, 10)
    if (/^[A-Za-z_]/.test(token)) return valueOf(token)
    throw wrong()
  }
  const sum = (weakest: number): number => {
    let left = primary()
    while (at < tokens.length && tokens[at] !== ')') {
      const operator = OPERATORS[tokens[at]]
      if (!operator) throw wrong()
      const [strength, apply] = operator
      if (strength < weakest) return left
      at++
      left = apply(left, sum(strength + 1))
    }
    return left
  }
  return sum(1)
}
