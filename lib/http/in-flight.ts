// The requests being worked on, of all listeners: how many, and how many bytes their bodies have. A
// request counts until its answer has left *and* what it asked of the node has ended: a client that
// goes away does not free the place that its write still takes.

import type { Timer, Timers } from '../clock.ts'
import { AspenError } from '../errors.ts'
import type { Exchange } from './exchanges.ts'
import type { HttpLimits } from './http-limits.ts'
import { refusal } from './error-body.ts'

export class InFlight {
  readonly #limits: HttpLimits
  readonly #timers: Timers
  #count = 0
  #bodyBytes = 0

  constructor(limits: HttpLimits, timers: Timers) {
    this.#limits = limits
    this.#timers = timers
  }

  get count(): number {
    return this.#count
  }

  /** A place for a request, until its exchange and its operation have ended. @throws AspenError OVERLOADED */
  enter(exchange: Pick<Exchange, 'onEnd'>): Place {
    if (this.#count >= this.#limits.maxInFlight) {
      throw refusal(
        'OVERLOADED',
        `${this.#count} requests are in progress`,
        'try again in a second'
      )
    }
    this.#count++
    let holders = 1
    let bodyBytes = 0
    const release = (): void => {
      if (--holders > 0) return
      this.#count--
      this.#bodyBytes -= bodyBytes
    }
    exchange.onEnd(release)
    return {
      addBody: (byteCount) => {
        if (this.#bodyBytes + byteCount > this.#limits.maxPendingBodyBytes) {
          throw refusal('OVERLOADED', 'the bodies in progress fill the memory set aside for them')
        }
        this.#bodyBytes += byteCount
        bodyBytes += byteCount
      },
      run: async (timeoutMs, operation) => {
        // its place is given away, and nobody reads the answer
        if (holders === 0) throw refusal('UNAVAILABLE', 'whoever asked has gone')
        holders++
        const running = Promise.resolve().then(operation).finally(release)
        return await this.#withDeadline(running, timeoutMs + this.#limits.requestTimeoutMs)
      }
    }
  }

  /** The operation keeps its own time; this ends the wait for one that does not. */
  #withDeadline<T>(running: Promise<T>, delayMs: number): Promise<T> {
    let timer: Timer | null = null
    const deadline = new Promise<never>((_resolve, reject) => {
      timer = this.#timers.start(delayMs, () => {
        const message = `no answer within ${delayMs} ms`
        reject(new AspenError({ code: 'TIMEOUT', message, fields: { duration_ms: delayMs } }))
      })
    })
    return Promise.race([running, deadline]).finally(() => timer?.cancel())
  }
}

/** What one request holds. */
export interface Place {
  /** Counts bytes of its body. @throws AspenError OVERLOADED */
  addBody(byteCount: number): void
  /** Runs what it asks of the node, which keeps `timeoutMs` by itself. @throws AspenError TIMEOUT, UNAVAILABLE (nobody waits for it any more; it is not begun) */
  run<T>(timeoutMs: number, operation: () => Promise<T>): Promise<T>
}
