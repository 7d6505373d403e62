// Members that have applied the same entries are equal, byte for byte: so are their snapshots at the same index.
// After each snapshot of its own a node asks the others for the hash of theirs. A difference is a fault of a
// machine or of a program, never something to be merged; who is outvoted cannot be right.

import type { Timer, Timers } from '../clock.ts'
import { equalSecret, hash } from '../crypto.ts'
import { hexOf } from '../encoding.ts'
import type { NodeId } from '../node-id.ts'
import type { Index } from '../raft/entry.ts'
import type { SnapshotName } from '../state-machine/state-machine.ts'
import type { Ask, Heard } from './snapshot-ask.ts'

export interface StateCompareParts {
  readonly timers: Timers
  readonly ask: Ask
  /** all other members */
  readonly others: () => readonly NodeId[]
  /** once per snapshot, if any member has another state at its index */
  readonly onDifference: (difference: StateDifference) => void
}

export interface StateDifference {
  readonly index: Index
  readonly same: readonly NodeId[]
  readonly different: readonly NodeId[]
  /** more than half of all members have one and the same state, and it is another one than here */
  readonly isOutvoted: boolean
}

interface Comparison {
  readonly name: SnapshotName
  readonly others: readonly NodeId[]
  /** as they have said it */
  readonly hashes: Map<NodeId, Uint8Array>
  triesLeft: number
}

export class StateCompare {
  readonly #parts: StateCompareParts
  #comparison: Comparison | null = null
  #timer: Timer | null = null

  constructor(parts: StateCompareParts) {
    this.#parts = parts
  }

  /** A snapshot that this node has made is durable; a comparison in progress ends with what is known. */
  onSnapshot(name: SnapshotName): void {
    this.#conclude()
    const others = this.#parts.others()
    this.#comparison = { name, others, hashes: new Map(), triesLeft: TRIES }
    this.#timer = this.#parts.timers.start(FIRST_WAIT_MS, () => this.#askAll())
  }

  close(): void {
    this.#timer?.cancel()
    this.#comparison = null
  }

  #askAll(): void {
    const comparison = this.#comparison
    if (comparison === null) return
    const missing = comparison.others.filter((id) => !comparison.hashes.has(id))
    if (missing.length === 0 || comparison.triesLeft === 0) {
      this.#conclude()
      return
    }
    comparison.triesLeft--
    const { index } = comparison.name
    for (const id of missing) {
      this.#parts.ask(id, { kind: 'digest', index }, (heard) =>
        this.#onHeard(comparison, id, heard)
      )
    }
    this.#timer = this.#parts.timers.start(RETRY_MS, () => this.#askAll())
  }

  #onHeard(comparison: Comparison, id: NodeId, heard: Heard): void {
    if (this.#comparison === comparison && heard.kind === 'digest') {
      comparison.hashes.set(id, heard.contentHash)
    }
  }

  #conclude(): void {
    this.#timer?.cancel()
    const comparison = this.#comparison
    this.#comparison = null
    if (comparison === null) return
    const { name, hashes, others } = comparison
    const isSame = (id: NodeId): boolean => equalSecret(hashes.get(id) ?? NONE, name.contentHash)
    const said = [...hashes.keys()]
    const different = said.filter((id) => !isSame(id))
    if (different.length === 0) return
    const most = Math.max(...counts(different.map((id) => hashes.get(id) ?? NONE)))
    const isOutvoted = 2 * most > others.length + 1
    const same = said.filter(isSame)
    this.#parts.onDifference({ index: name.index, same, different, isOutvoted })
  }
}

/** How many there are of each. */
function counts(hashes: readonly Uint8Array[]): readonly number[] {
  const found = new Map<string, number>()
  for (const each of hashes) found.set(hexOf(each), (found.get(hexOf(each)) ?? 0) + 1)
  return [...found.values()]
}

const NONE = hash()
/** The others are about as far; who is slower, or away, is asked again. */
const FIRST_WAIT_MS = 2_000
const RETRY_MS = 10_000
const TRIES = 6
