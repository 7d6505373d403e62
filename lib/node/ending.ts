// The one way in which a node ends: everything that was opened is closed once, in reverse, whoever
// begins it and however far the opening came. A part that cannot be closed keeps no other from it.

import type { AspenError } from '../errors.ts'
import { CODES, EXIT } from '../errors.ts'

export type Cleanup = () => Promise<void> | void

export class Ending {
  /**
   * Resolves when everything is closed: 0; the code of the failure, also of one that came while the
   * node was being closed; 1 when a part could not be closed.
   */
  readonly exitCode: Promise<number>
  readonly #onCleanupFailed: (error: unknown) => void
  readonly #cleanups: Cleanup[] = []
  #resolve: (exitCode: number) => void = () => {}
  #state: 'open' | 'ending' | 'ended' = 'open'
  #failure: AspenError | null = null
  #hasCleanupFailed = false

  constructor(onCleanupFailed: (error: unknown) => void) {
    this.#onCleanupFailed = onCleanupFailed
    this.exitCode = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  /** Why the node ends by itself; null while it does not. */
  get failure(): AspenError | null {
    return this.#failure
  }

  /** What closes a part that was just opened. After the end it is called at once. */
  add(cleanup: Cleanup): void {
    if (this.#state === 'ended') void this.#guarded(cleanup)
    else this.#cleanups.push(cleanup)
  }

  /** The node cannot go on. Only the first failure counts. */
  fail(error: AspenError): void {
    this.#failure ??= error
    void this.end()
  }

  /** `first` runs while everything is still open. May be called twice; never rejects. */
  async end(first: Cleanup = () => {}): Promise<void> {
    if (this.#state === 'open') {
      this.#state = 'ending'
      await this.#guarded(first)
      for (let next = this.#cleanups.pop(); next !== undefined; next = this.#cleanups.pop()) {
        await this.#guarded(next)
      }
      this.#state = 'ended'
      this.#resolve(this.#code())
    }
    await this.exitCode
  }

  async #guarded(cleanup: Cleanup): Promise<void> {
    try {
      await cleanup()
    } catch (error) {
      this.#hasCleanupFailed = true
      this.#onCleanupFailed(error)
    }
  }

  #code(): number {
    if (this.#failure !== null) return CODES[this.#failure.code].exitCode
    return this.#hasCleanupFailed ? EXIT.failed : EXIT.ok
  }
}
