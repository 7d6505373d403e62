// Assertions for programmer errors. They stay on in production: a node that finds its own state
// impossible must stop rather than answer. Errors of operation (bad input, a full disk, a lost
// leader) are never asserted; they are `AspenError`s (errors.ts).

export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** Ends the calling operation if `condition` is false. @throws AssertionError */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** The value, which the caller knows to be there. @throws AssertionError when it is not */
export function present<T>(value: T | undefined | null, what: string): T {
  assert(value !== undefined && value !== null, `${what} is missing`)
  return value
}

/** The end of an exhaustive `switch`: the compiler proves that no case is left. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable case: ${JSON.stringify(value)}`)
}
