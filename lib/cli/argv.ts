// Operands as paparam takes them. It reads an empty argument as the end of the operands and keeps
// what follows `--` apart, so `aspen kv put k ''` and `aspen kv get -- -k` would both be refused.
// Here every empty argument and everything behind `--` is marked with a leading NUL, which no real
// argument can hold, and unmarked when it is read.

const MARK = '\u0000'

/** The arguments with empty ones and those behind the first `--` marked; the `--` itself goes. */
export function markOperands(argv: readonly string[]): string[] {
  const end = argv.indexOf('--')
  const before = end === -1 ? argv : argv.slice(0, end)
  const after = end === -1 ? [] : argv.slice(end + 1)
  return [
    ...before.map((text) => (text === '' ? MARK : text)),
    ...after.map((text) => `${MARK}${text}`)
  ]
}

/** The argument as it was typed. */
export function unmark(text: string): string {
  return text.startsWith(MARK) ? text.slice(1) : text
}
