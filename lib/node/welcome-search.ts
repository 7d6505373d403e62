// A node without a cluster asks the members that it knows whether it belongs to theirs by now: all at once,
// for as long as it takes, until one of them says so.

import type { Clock, Timers } from '../clock.ts'
import type { KeyPair } from '../crypto.ts'
import { equalSecret } from '../crypto.ts'
import { hexOf } from '../encoding.ts'
import { TransportError } from '../errors.ts'
import type { Network } from '../transport/network.ts'
import type { ToldWelcome } from '../transport/welcome.ts'
import { requestWelcome } from '../transport/welcome.ts'
import type { EventLog } from './assembly-parts.ts'
import type { Peer } from './peers.ts'

export interface WelcomeSearchParts {
  /** open */
  readonly network: Network
  readonly keyPair: KeyPair
  /** whoever has this node's own key is left out */
  readonly peers: readonly Peer[]
  readonly clock: Clock
  readonly timers: Timers
  readonly events: Pick<EventLog, 'warn'>
}

export class WelcomeSearch {
  readonly #parts: WelcomeSearchParts
  readonly #end = new AbortController()

  constructor(parts: WelcomeSearchParts) {
    this.#parts = parts
  }

  /** Nobody is asked any more; what was found already is told. May be called twice. */
  stop(): void {
    this.#end.abort()
  }

  /** Calls back once, when a member has said what this node is; never after `stop`. */
  start(onFound: (told: ToldWelcome) => void): void {
    const { peers, keyPair } = this.#parts
    for (const peer of peers) {
      if (equalSecret(peer.publicKey, keyPair.publicKey)) continue
      void this.#ask(peer).then((told) => {
        if (told === null || this.#end.signal.aborted) return
        this.stop()
        onFound(told)
      })
    }
  }

  /** Null when it was stopped, or when the peer has refused this node for good. */
  async #ask({ publicKey, addresses }: Peer): Promise<ToldWelcome | null> {
    const { network, keyPair, clock, timers, events } = this.#parts
    const { signal } = this.#end
    try {
      while (!signal.aborted) {
        const told = await requestWelcome({
          network,
          memberKey: publicKey,
          addresses,
          keyPair,
          deadlineMs: clock.nowMs() + ROUND_MS,
          clock,
          timers,
          signal
        })
        if (told !== null) return told
      }
    } catch (error) {
      if (!(error instanceof TransportError)) throw error
      const fields = { event: 'lobby.refused', peer: hexOf(publicKey), code: error.code }
      events.warn(fields, `a peer is not asked any more: ${error.message}`)
    }
    return null
  }
}

/** One request; another one follows. */
const ROUND_MS = 60 * 60_000
