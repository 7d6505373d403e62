// One fetched snapshot on its way into this node. The core decides whether it is adopted, the log's write
// makes it so, and then the state machine follows; nothing is applied from before the decision until then.
// A crash in between finds the old state or the new one: the write of the log is the only pointer.

import { assert } from '../assert.ts'
import type { Effects, InstalledSnapshot, Token } from '../raft/effects.ts'
import type { PreparedSnapshot } from '../state-machine/state-machine.ts'
import type { Applier } from './applier.ts'

/** Whether the snapshot was adopted; it was not if this node has got beyond it meanwhile. */
export type OnInstalled = (isAdopted: boolean) => void

export class Installation {
  readonly #applier: Applier
  readonly #step: (snapshot: InstalledSnapshot) => void
  #current: {
    readonly prepared: PreparedSnapshot
    readonly onEnded: OnInstalled
    /** of the write that adopts it; null until the core has decided */
    token: Token | null
  } | null = null

  /** `step` asks the core. */
  constructor(applier: Applier, step: (snapshot: InstalledSnapshot) => void) {
    this.#applier = applier
    this.#step = step
  }

  /** Begins when nothing is being applied. One at a time. */
  begin(prepared: PreparedSnapshot, onEnded: OnInstalled): void {
    assert(this.#current === null, 'one snapshot is installed at a time')
    this.#current = { prepared, onEnded, token: null }
    const { info, timeMs, configuration, configurationIndex } = prepared
    const id = { index: info.index, term: info.term, hash: info.chainHash }
    this.#applier.hold(() => this.#step({ id, timeMs, configuration, configurationIndex }))
  }

  /** What the core said, if it was asked. */
  onAnswer({ installed, write }: Effects): void {
    const current = this.#current
    if (installed === null || current === null) return
    if (installed === 'adopted') {
      assert(write !== null && write.install !== null, 'an adopted snapshot is written')
      current.token = write.token
    } else {
      this.#current = null
      this.#applier.release()
      current.onEnded(false)
    }
  }

  /** The log begins behind the snapshot, once its write is durable: the state machine follows. */
  onDurable(token: Token): void {
    const current = this.#current
    if (current === null || current.token === null || current.token > token) return
    this.#current = null
    this.#applier.adopt(current.prepared, () => current.onEnded(true))
  }

  end(): void {
    this.#current = null
  }
}
