// Reads what brittle prints, line by line, and keeps only what the runner counts: the summary, the
// skips and the tail. Nothing here grows with the length of the output.

/** A test that did not run because the machine lacks something. */
export interface Skip {
  readonly test: string
  readonly reason: string
}

/** What brittle says at the end; a file without it has crashed, hung or holds no test. */
export interface Summary {
  readonly passed: number
  readonly total: number
}

const TAIL_LINES = 100
const MAX_LINE_CHARS = 4_000

export class TapReader {
  /** the newest summary line; null until one came */
  summary: Summary | null = null
  readonly skips: Skip[] = []
  #test = ''
  #rest = ''
  #tail: string[] = []

  /** Takes the next piece of output, cut anywhere. */
  write(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = (lines.pop() ?? '').slice(-MAX_LINE_CHARS)
    for (const line of lines) this.#line(line)
  }

  /** The last lines, for the report of a failure. Call it when the output has ended. */
  end(): readonly string[] {
    if (this.#rest !== '') this.#line(this.#rest)
    this.#rest = ''
    return this.#tail
  }

  #line(line: string): void {
    this.#tail.push(line.slice(0, MAX_LINE_CHARS))
    if (this.#tail.length > TAIL_LINES) this.#tail.shift()
    const summary = /^# tests = (\d+)\/(\d+) pass/.exec(line)
    if (summary !== null) {
      this.summary = { passed: Number(summary[1]), total: Number(summary[2]) }
      return
    }
    const skip = /^ {4}# skip: (.+)$/.exec(line)
    if (skip !== null) this.skips.push({ test: this.#test, reason: skip[1] ?? '' })
    const marked = /^ok \d+ - (.*) # ([A-Z]+)$/.exec(line)
    if (marked !== null) this.skips.push({ test: marked[1] ?? '', reason: `marked ${marked[2]}` })
    const title = /^# (.+)$/.exec(line)
    if (title !== null) this.#test = title[1] ?? ''
  }
}
