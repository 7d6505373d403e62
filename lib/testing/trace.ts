// What happened in a simulated run: a rolling hash over every line, by which two runs are compared,
// and the last lines, for a person who looks at a failure.

/** Lines kept for a failure's report. */
const KEPT_LINES = 200

export class Trace {
  /** two lanes of 32 bits: FNV-1a and a multiplicative one with another prime */
  #high = 0x811c_9dc5
  #low = 0x1234_5678
  #count = 0
  readonly #last: string[] = []

  /** Everything that decides how a run goes on leaves a line. */
  add(line: string): void {
    let high = this.#high
    let low = this.#low
    for (let at = 0; at < line.length; at++) {
      const code = line.charCodeAt(at)
      high = Math.imul(high ^ code, 0x0100_0193)
      low = Math.imul(low + code, 0x85eb_ca6b) ^ (low >>> 13)
    }
    this.#high = Math.imul(high ^ 10, 0x0100_0193)
    this.#low = Math.imul(low + 10, 0x85eb_ca6b) ^ (low >>> 13)
    this.#last[this.#count % KEPT_LINES] = line
    this.#count++
  }

  /** Lines so far. */
  get count(): number {
    return this.#count
  }

  /** 16 hex digits. */
  get digest(): string {
    return hexOf32(this.#high) + hexOf32(this.#low)
  }

  /** The last 200 lines, oldest first. */
  last(): readonly string[] {
    const start = this.#count % KEPT_LINES
    return [...this.#last.slice(start), ...this.#last.slice(0, start)]
  }
}

function hexOf32(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0')
}
