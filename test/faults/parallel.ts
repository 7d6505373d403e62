// Cases that mostly wait, a few at a time.

/** As many as two cores keep busy. */
const AT_ONCE = 3

/** Resolves when `run` has done all of them; rejects with the first that failed. */
export async function inParallel<Case>(
  cases: readonly Case[],
  run: (one: Case) => Promise<void>
): Promise<void> {
  const waiting = [...cases]
  const work = async (): Promise<void> => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) await run(one)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}
