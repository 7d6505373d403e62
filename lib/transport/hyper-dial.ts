// One attempt to reach a key over UDP: by its last known addresses, and through the DHT. All addresses
// are pinged at once and again each second; the first that answers is dialled, which needs no DHT at
// all. Only when none answers soon, the DHT is asked. Dead addresses so cost nothing, and a peer that
// comes back on its old address is found within a second, however long the DHT takes.

import type { Address } from '../address.ts'
import { formatAddress } from '../address.ts'
import type { Timing } from '../raft/timing.ts'
import { dialFailure, dialReason } from './dial-reason.ts'
import type { DialFailure } from './dial-reason.ts'
import type { CappedStream, GuardedDHT } from './guarded-dht.ts'
import { adopt, closeSoon, HyperConnection } from './hyper-connection.ts'
import type { Dial, DialResult, DialTarget } from './network.ts'

/** How long addresses have before the DHT is asked too. */
const ADDRESSES_FIRST_MS = 500
/** Pause between two rounds of pings. */
const PING_PAUSE_MS = 1_000
/** How long a dial at one address may take. */
const DIRECT_DIAL_MS = 1_500
/** How long the whole attempt may take; hole punching between hard NATs is slow. */
const ATTEMPT_MS = 15_000

export interface HyperDialParts {
  readonly dht: GuardedDHT
  readonly timing: Timing
  readonly onDone: (result: DialResult) => void
}

interface Why {
  readonly failure: DialFailure
  readonly reason: string
}

export class HyperDial implements Dial {
  readonly #target: DialTarget
  readonly #parts: HyperDialParts
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #streams = new Set<CappedStream>()
  /** addresses that answered a ping and wait to be dialled */
  #answering: Address[] = []
  readonly #tried = new Set<string>()
  #isDialingDirectly = false
  #isOver = false

  constructor(target: DialTarget, parts: HyperDialParts) {
    this.#target = target
    this.#parts = parts
    this.#later(ATTEMPT_MS, () =>
      this.#finish({ kind: 'failed', failure: 'timeout', reason: 'nobody answered in time' })
    )
    if (target.addresses.length > 0) this.#pingAll()
    this.#later(target.addresses.length > 0 ? ADDRESSES_FIRST_MS : 0, () => this.#dialByDht())
  }

  cancel(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#clear()
  }

  #pingAll(): void {
    this.#tried.clear()
    for (const address of this.#target.addresses) void this.#ping(address)
    this.#later(PING_PAUSE_MS, () => this.#pingAll())
  }

  async #ping(address: Address): Promise<void> {
    try {
      await this.#parts.dht.ping(address, { retry: false })
    } catch {
      return
    }
    const name = formatAddress(address)
    if (this.#isOver || this.#tried.has(name)) return
    this.#tried.add(name)
    this.#answering.push(address)
    this.#dialDirectly()
  }

  /** Dials the next address that answered; one at a time, since several may be one machine. */
  #dialDirectly(): void {
    if (this.#isOver || this.#isDialingDirectly) return
    const address = this.#answering.shift()
    if (address === undefined) return
    this.#isDialingDirectly = true
    const stream = this.#open([address], () => {
      this.#isDialingDirectly = false
      this.#dialDirectly()
    })
    this.#later(DIRECT_DIAL_MS, () => {
      if (this.#streams.has(stream)) closeSoon(stream, 'no answer at this address')
    })
  }

  #dialByDht(): void {
    this.#open([], (why) => {
      // an address may still answer
      const pauseMs = this.#target.addresses.length > 0 ? PING_PAUSE_MS : 0
      this.#later(pauseMs, () => {
        if (this.#streams.size === 0) this.#finish({ kind: 'failed', ...why })
      })
    })
  }

  #open(relayAddresses: Address[], onFail: (why: Why) => void): CappedStream {
    const { dht, timing } = this.#parts
    const keyPair = this.#target.keyPair ?? dht.defaultKeyPair
    const stream = dht.dial(this.#target.publicKey, { keyPair, relayAddresses })
    let why: Why = { failure: 'other', reason: 'closed' }
    adopt(stream, timing)
    this.#streams.add(stream)
    stream.on('error', (error) => {
      why = { failure: dialFailure(error), reason: dialReason(error) }
    })
    stream.on('open', () => {
      this.#streams.delete(stream)
      if (this.#isOver) closeSoon(stream, 'not needed')
      else this.#finish({ kind: 'connected', connection: new HyperConnection(stream) })
    })
    stream.on('close', () => {
      if (this.#streams.delete(stream) && !this.#isOver) onFail(why)
    })
    return stream
  }

  #finish(result: DialResult): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#clear()
    this.#parts.onDone(result)
  }

  #clear(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    for (const stream of this.#streams) closeSoon(stream, 'not needed')
  }

  #later(delayMs: number, fn: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      if (!this.#isOver) fn()
    }, delayMs)
    timer.unref()
    this.#timers.add(timer)
  }
}
