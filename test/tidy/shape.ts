// The shape of a file: header, length, length of its functions, no default export.

import { MAX_FILE_LINES, MAX_FUNCTION_LINES } from './architecture.ts'
import { blank, isProgram, isTypeScript, lineAt } from './source.ts'
import type { SourceFile, Violation } from './source.ts'

/** Files without a header, too long, with a function too long, or with a default export. */
export function checkShape(files: readonly SourceFile[]): Violation[] {
  return files
    .filter((file) => isTypeScript(file.path))
    .flatMap((file) => [
      ...checkHeader(file),
      ...checkLength(file),
      ...checkFunctions(file),
      ...checkDefaultExport(file)
    ])
}

/** Program files that the README of their folder does not name, where it has one; the vocabulary has none of its own. */
export function checkTables(files: readonly SourceFile[]): Violation[] {
  const readmes = new Map(
    files.filter(({ path }) => path.endsWith('/README.md')).map(({ path, text }) => [path, text])
  )
  return files
    .filter(({ path }) => /^lib\/[^/]+\//.test(path) && isProgram(path))
    .flatMap(({ path }) => {
      const [folder, name] = [path.slice(0, path.lastIndexOf('/')), path.split('/').at(-1) ?? '']
      const readme = `${folder}/README.md`
      const words = (readmes.get(readme) ?? name).split(/[^\w.-]+/)
      if (words.some((word) => word.replace(/\.$/, '') === name)) return []
      const remedy = 'say there in a line what it is'
      return [{ path, line: 1, what: `is not in ${readme}`, remedy }]
    })
}

function checkHeader({ path, text }: SourceFile): Violation[] {
  if (/^(?:#![^\n]*\n+)?(?:\/\/ \S|\/\*)/.test(text)) return []
  const remedy = 'begin with what this is, the idea, and what it is not'
  return [{ path, line: 1, what: 'has no header comment', remedy }]
}

function checkLength({ path, text }: SourceFile): Violation[] {
  const count = text.trimEnd().split('\n').length
  if (count <= MAX_FILE_LINES) return []
  const what = `has ${count} lines of at most ${MAX_FILE_LINES}`
  return [{ path, line: MAX_FILE_LINES + 1, what, remedy: 'give each concept a file' }]
}

function checkFunctions({ path, text }: SourceFile): Violation[] {
  return functionsOf(blank(text))
    .map(({ from, to }) => ({ line: lineAt(text, from), last: lineAt(text, to) }))
    .filter(({ line, last }) => last - line + 1 > MAX_FUNCTION_LINES)
    .map(({ line, last }) => ({
      path,
      line,
      what: `has a function of ${last - line + 1} lines of at most ${MAX_FUNCTION_LINES}`,
      remedy: 'name its steps and make them functions'
    }))
}

function checkDefaultExport({ path, text }: SourceFile): Violation[] {
  const pattern = /\bexport\s+default\b|\bexport\s*\{[^}]*\bas\s+default\b/g
  return Array.from(blank(text).matchAll(pattern), (match) => ({
    path,
    line: lineAt(text, match.index),
    what: 'has a default export',
    remedy: 'export it by its name'
  }))
}

/** A function in blanked code: from its first parenthesis to the brace that closes its body. */
export interface FunctionSpan {
  readonly from: number
  readonly to: number
}

/** Words whose parentheses hold no parameters. */
const CONTROL = /(?<![.#\w$])(?:if|for|while|switch|catch|with|await|return|typeof)\s*$/

/** The functions of blanked code that have a body in braces. */
export function functionsOf(code: string): FunctionSpan[] {
  const spans: FunctionSpan[] = []
  for (const match of code.matchAll(/\(/g)) {
    if (CONTROL.test(code.slice(Math.max(0, match.index - 40), match.index))) continue
    const body = bodyAfter(code, closeOf(code, match.index) + 1)
    if (body !== -1) spans.push({ from: match.index, to: closeOf(code, body) })
  }
  return spans
}

const CLOSERS: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}', '<': '>' }

/** The offset of the bracket that closes the one at `open`; the end if none does. */
function closeOf(code: string, open: number): number {
  const opener = code.charAt(open)
  const closer = CLOSERS[opener]
  let depth = 0
  for (let at = open; at < code.length; at++) {
    const char = code.charAt(at)
    if (char === opener) depth += 1
    else if (char === closer && code.charAt(at - 1) !== '=') depth -= 1
    if (depth === 0) return at
  }
  return code.length
}

/** Type operators: after one of them another operand of the type follows. */
const OPERATOR = /(?:[|&.]|=>|\b(?:is|asserts|keyof|typeof|readonly|extends|infer|unique)\b)/y
const OPERAND = /[\w$#]+|['"`] *['"`]/y

/** Where the body of a function begins whose parameters end before `at`; -1 if it is none. */
function bodyAfter(code: string, at: number): number {
  let next = skipSpace(code, at)
  if (code.charAt(next) === ':') next = skipType(code, next + 1)
  if (code.startsWith('=>', next)) next = skipSpace(code, next + 2)
  return code.charAt(next) === '{' ? next : -1
}

/** The offset after the return type that begins at `at`: its body, its arrow, or what else comes. */
function skipType(code: string, at: number): number {
  let next = skipSpace(code, at)
  let isOperandDue = true
  let isParameterList = false
  for (;;) {
    const char = code.charAt(next)
    const operator =
      isParameterList || !code.startsWith('=>', next) ? lengthAt(OPERATOR, code, next) : 0
    if (operator > 0) {
      next += operator
      isOperandDue = true
    } else if (char === '<' || char === '[' || ((char === '{' || char === '(') && isOperandDue)) {
      isParameterList = char === '('
      isOperandDue = false
      next = closeOf(code, next) + 1
    } else {
      const operand = isOperandDue ? lengthAt(OPERAND, code, next) : 0
      if (operand === 0) return next
      next += operand
      isOperandDue = false
      isParameterList = false
    }
    next = skipSpace(code, next)
  }
}

function lengthAt(pattern: RegExp, code: string, at: number): number {
  pattern.lastIndex = at
  return pattern.exec(code)?.[0].length ?? 0
}

function skipSpace(code: string, at: number): number {
  let next = at
  while (/\s/.test(code.charAt(next))) next += 1
  return next
}
