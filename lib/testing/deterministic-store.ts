// A key-value store in one object, for tests of programs that use one: no cluster, no clock, no chance. What is
// written goes through the same checks, the same log entries and the same state machine as on a node, so the
// limits, the revisions and the refusals are those of a node.

import { assert } from '../assert.ts'
import type { Timers } from '../clock.ts'
import { StorageError } from '../errors.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import { chained, genesis } from '../raft/entry.ts'
import type { Submitted, MakeEntry } from '../service/submission.ts'
import { KeyValueStore } from '../service/key-value-store.ts'
import { ReplicatedStore } from '../service/replicated-store.ts'
import { CLIENT_ID_BYTES } from '../state-machine/command.ts'
import { MemoryStateMachine } from '../state-machine/memory-state-machine.ts'

/**
 * ```ts
 * const store = new DeterministicKeyValueStore()
 * await store.write({ command: { Set: { key: 'a', value: '1' } } })
 * ```
 */
export class DeterministicKeyValueStore extends KeyValueStore {
  constructor() {
    const log = new LogOfOne()
    const { stateMachine } = log
    const parts = { forwarder: log, stateMachine, timers: NOW, leaderAgeMs: () => 0 }
    super(new ReplicatedStore(parts))
  }
}

/** In place of the way to the leader: each entry is committed when it is proposed. */
class LogOfOne {
  readonly stateMachine: MemoryStateMachine
  #last: EntryId = genesis(new Uint8Array(16))
  #sequence = 0
  /** settles with the entry before: one apply may be in progress */
  #turn: Promise<unknown> = Promise.resolve()

  constructor() {
    this.stateMachine = MemoryStateMachine.open({
      genesis: this.#last,
      defer: (fn) => queueMicrotask(fn),
      onFailed: (error) => {
        throw new StorageError(error.detail, { cause: error })
      }
    })
  }

  submit(makeEntry: MakeEntry): Promise<Submitted> {
    const sequence = ++this.#sequence
    const clientId = new Uint8Array(CLIENT_ID_BYTES)
    const proposed = makeEntry({ clientId, since: 0, sequence, answeredBelow: sequence })
    const timeMs = EPOCH_MS + this.#last.index
    const entry: Entry = chained(this.#last, { ...proposed, term: 1, timeMs })
    this.#last = entry
    const submitted = this.#turn.then(() => this.#apply(entry))
    this.#turn = submitted
    return submitted
  }

  #apply(entry: Entry): Promise<Submitted> {
    return new Promise((resolve) => {
      this.stateMachine.apply([entry], ([result]) => {
        assert(result !== undefined, 'an entry has a result')
        resolve({ index: entry.index, result })
      })
    })
  }

  /** After everything that was asked before. */
  async confirmRead(): Promise<Index> {
    await this.#turn
    return this.stateMachine.applied().index
  }

  checkOpen(): void {}
}

/** Stamps of entries: they are the same in each run. */
const EPOCH_MS = Date.UTC(2026, 0, 1)

const NOW: Timers = {
  start(_delayMs, fn) {
    queueMicrotask(fn)
    return { cancel() {} }
  },
  soon: (fn) => queueMicrotask(fn)
}
