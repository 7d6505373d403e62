// Who is dialled when. Hyperswarm alone does not bring members together again: two that start at one
// moment miss each other for ten minutes, and a healed partition stays apart as long (stack-facts
// 0.1, 0.12). So: every 1 to 3 seconds each wanted peer without a link is dialled, at its last known
// addresses and by its key; and while anybody is missing, or a topic is not announced, the topics are
// refreshed after 250 ms, 1, 3, 10 and then every 30 seconds.

import type { Clock, Timer, Timers } from '../clock.ts'
import { hexOf } from '../encoding.ts'
import type { Random } from '../random.ts'
import { randomBelow } from '../random.ts'
import type { DialFailure } from './dial-reason.ts'
import type { Connection, Dial, Network } from './network.ts'
import type { Peer } from './transport.ts'

const RECONCILE_MIN_MS = 1_000
const RECONCILE_SPREAD_MS = 2_000
/** A link that was lost is dialled again after up to this. */
const REDIAL_SPREAD_MS = 100
/** A peer that refused this node is left alone for so long. */
const REFUSED_PAUSE_MS = 10_000
const REFRESH_DELAYS_MS = [250, 1_000, 3_000, 10_000, 30_000] as const

export interface DialerParts {
  readonly network: Network
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** Whether a peer has a link, or a connection that is saying hello. */
  readonly isReached: (publicKey: Uint8Array) => boolean
  readonly onConnection: (connection: Connection) => void
  /** an attempt has ended; 'ok', or why not */
  readonly onDialed: (result: 'ok' | DialFailure) => void
}

interface Target {
  peer: Peer
  dial: Dial | null
  notBeforeMs: number
}

export class Dialer {
  readonly #parts: DialerParts
  readonly #targets = new Map<string, Target>()
  #reconcileTimer: Timer | null = null
  #reconcileAtMs = 0
  #refreshTimer: Timer | null = null
  #refreshCount = 0
  #isClosed = false

  constructor(parts: DialerParts) {
    this.#parts = parts
  }

  /** The peers to reach; replaces the set before. Dials those that are new at once. */
  setPeers(peers: readonly Peer[]): void {
    const wanted = new Map(peers.map((peer) => [hexOf(peer.publicKey), peer]))
    for (const [key, target] of this.#targets) {
      if (wanted.has(key)) continue
      target.dial?.cancel()
      this.#targets.delete(key)
    }
    let isNew = false
    for (const [key, peer] of wanted) {
      const target = this.#targets.get(key)
      if (target === undefined) this.#targets.set(key, { peer, dial: null, notBeforeMs: 0 })
      else target.peer = peer
      isNew ||= target === undefined
    }
    if (!isNew || this.#isClosed) return
    this.#reconcileAfter(0)
    this.#refreshFromStart()
  }

  /** Something changed (a link was lost, the network came back): look again at once. */
  wake(): void {
    if (this.#isClosed) return
    this.#reconcileAfter(randomBelow(this.#parts.random, REDIAL_SPREAD_MS))
    this.#refreshFromStart()
  }

  /** The topics changed, or somebody is missing anew. */
  #refreshFromStart(): void {
    this.#refreshCount = 0
    this.#refreshLater()
  }

  /** A peer has said why it does not want this node. */
  onRefused(publicKey: Uint8Array): void {
    const target = this.#targets.get(hexOf(publicKey))
    if (target !== undefined) target.notBeforeMs = this.#parts.clock.nowMs() + REFUSED_PAUSE_MS
  }

  close(): void {
    this.#isClosed = true
    this.#reconcileTimer?.cancel()
    this.#refreshTimer?.cancel()
    for (const target of this.#targets.values()) target.dial?.cancel()
    this.#targets.clear()
  }

  /** Brings the next look forward, never back. */
  #reconcileAfter(delayMs: number): void {
    const atMs = this.#parts.clock.nowMs() + delayMs
    if (this.#reconcileTimer !== null && this.#reconcileAtMs <= atMs) return
    this.#reconcileTimer?.cancel()
    this.#reconcileAtMs = atMs
    this.#reconcileTimer = this.#parts.timers.start(delayMs, () => {
      this.#reconcileTimer = null
      for (const target of this.#targets.values()) this.#maybeDial(target)
      const jitter = randomBelow(this.#parts.random, RECONCILE_SPREAD_MS)
      this.#reconcileAfter(RECONCILE_MIN_MS + jitter)
    })
  }

  #maybeDial(target: Target): boolean {
    const { publicKey, addresses } = target.peer
    if (this.#parts.isReached(publicKey)) {
      target.dial?.cancel()
      target.dial = null
      return false
    }
    if (target.dial !== null || target.notBeforeMs > this.#parts.clock.nowMs()) return false
    target.dial = this.#parts.network.dial({ publicKey, addresses }, (result) => {
      target.dial = null
      this.#parts.onDialed(result.kind === 'connected' ? 'ok' : result.failure)
      if (result.kind === 'connected') this.#parts.onConnection(result.connection)
    })
    return true
  }

  /** Refreshes the topics until nobody is missing and everything is announced. */
  #refreshLater(): void {
    this.#refreshTimer?.cancel()
    const step = Math.min(this.#refreshCount, REFRESH_DELAYS_MS.length - 1)
    const delayMs = REFRESH_DELAYS_MS[step] ?? 0
    const jitter = randomBelow(this.#parts.random, Math.floor(delayMs / 2))
    this.#refreshTimer = this.#parts.timers.start(Math.floor(delayMs * 0.75) + jitter, () => {
      this.#refreshCount++
      if (this.#isMissingSomething()) this.#parts.network.refreshTopics()
      this.#refreshLater()
    })
  }

  #isMissingSomething(): boolean {
    const targets = [...this.#targets.values()]
    return (
      targets.some((target) => !this.#parts.isReached(target.peer.publicKey)) ||
      !this.#parts.network.discovery().isAnnounced
    )
  }
}
