// Who gets an answer at all, and how many at once: the caps of reliability 2.3 on connections that
// have proven nothing yet. Members, invited and refused keys are told apart by `Trust`; strangers
// hear nothing.

import { unreachable } from '../assert.ts'
import type { Clock } from '../clock.ts'
import { hexOf } from '../encoding.ts'
import {
  MAX_CONNECTIONS_PER_INVITE,
  MAX_INVITE_CONNECTIONS,
  MAX_KNOCKS_PER_SECOND,
  MAX_REFUSALS_PER_SECOND,
  MAX_UNPROVEN_CONNECTIONS,
  REFUSAL_PAUSE_MS
} from '../limits.ts'
import type { Trust } from './transport.ts'

/** Joiners beyond their cap that are told BUSY at the same time; beyond: silence. */
const MAX_BUSY_ANSWERS = 16

/** A place that was given out; `free` it when the connection is proven or gone. */
export interface Place {
  free(): void
}

export class Gate {
  readonly #trust: Trust
  readonly #clock: Clock
  #unproven = 0
  readonly #invites = new Map<string, number>()
  #inviteCount = 0
  #busyCount = 0
  readonly #refusedAtMs = new Map<string, number>()
  /** handshakes of the second that began at `sinceMs` */
  #knocks = { sinceMs: 0, count: 0 }

  constructor(trust: Trust, clock: Clock) {
    this.#trust = trust
    this.#clock = clock
  }

  /** Whether a key that knocks is answered. */
  mayKnock(publicKey: Uint8Array): boolean {
    const standing = this.#trust.standing(publicKey)
    switch (standing.kind) {
      case 'member':
        return true
      case 'unproven':
        return this.#unproven < MAX_UNPROVEN_CONNECTIONS && this.#mayHandshake()
      case 'invite':
        return this.#busyCount < MAX_BUSY_ANSWERS && this.#mayHandshake()
      case 'refused':
        return this.#mayRefuse(publicKey)
      case 'stranger':
        return false
      default:
        return unreachable(standing)
    }
  }

  /** A place for a connection that has to say hello; null when there are too many. */
  enterUnproven(): Place | null {
    if (this.#unproven >= MAX_UNPROVEN_CONNECTIONS) return null
    this.#unproven++
    return once(() => this.#unproven--)
  }

  /** A place for a joiner; null when it has to be told BUSY. */
  enterInvite(publicKey: Uint8Array): Place | null {
    const key = hexOf(publicKey)
    const count = this.#invites.get(key) ?? 0
    if (count >= MAX_CONNECTIONS_PER_INVITE || this.#inviteCount >= MAX_INVITE_CONNECTIONS)
      return null
    this.#invites.set(key, count + 1)
    this.#inviteCount++
    return once(() => {
      this.#inviteCount--
      const left = (this.#invites.get(key) ?? 1) - 1
      if (left === 0) this.#invites.delete(key)
      else this.#invites.set(key, left)
    })
  }

  /** A place for a joiner that is being told BUSY. */
  enterBusy(): Place {
    this.#busyCount++
    return once(() => this.#busyCount--)
  }

  /** A handshake costs memory before there is a connection that could be counted. */
  #mayHandshake(): boolean {
    const nowMs = this.#clock.nowMs()
    if (nowMs - this.#knocks.sinceMs >= 1_000) this.#knocks = { sinceMs: nowMs, count: 0 }
    if (this.#knocks.count >= MAX_KNOCKS_PER_SECOND) return false
    this.#knocks.count++
    return true
  }

  /** One answer per key and pause, and MAX_REFUSALS_PER_SECOND in all. */
  #mayRefuse(publicKey: Uint8Array): boolean {
    const nowMs = this.#clock.nowMs()
    for (const [key, atMs] of this.#refusedAtMs) {
      if (nowMs - atMs < REFUSAL_PAUSE_MS) break
      this.#refusedAtMs.delete(key)
    }
    const key = hexOf(publicKey)
    const lastSecond = [...this.#refusedAtMs.values()].filter((atMs) => nowMs - atMs < 1_000)
    if (this.#refusedAtMs.has(key) || lastSecond.length >= MAX_REFUSALS_PER_SECOND) return false
    this.#refusedAtMs.set(key, nowMs)
    return true
  }
}

function once(fn: () => void): Place {
  let isFree = false
  return {
    free() {
      if (isFree) return
      isFree = true
      fn()
    }
  }
}
