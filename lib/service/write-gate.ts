// What a leader does not even propose: writes that need room where there is none, on the disk or in
// the store. What makes room, and what the cluster needs to get out of this state, always passes:
// deletes, compaction, everything about members. Reads are no proposals.

import { ENTRY_KIND } from '../raft/entry.ts'
import type { Refusal } from '../replica/proposals.ts'
import { decodeWrite } from '../state-machine/encoding.ts'
import type { ProposedEntry } from './encoding.ts'

/** What is live in the state machine. */
export interface StateSize {
  readonly entryCount: number
  /** of keys and values */
  readonly byteCount: number
}

export interface WriteGateParts {
  readonly isDiskFull: () => boolean
  readonly stateSize: () => StateSize
  readonly maxState: StateSize
  /** bytes of payload that go to the log; told of each entry that passes */
  readonly onPassed: (payloadBytes: number) => void
}

export class WriteGate {
  readonly #parts: WriteGateParts

  constructor(parts: WriteGateParts) {
    this.#parts = parts
  }

  /** Why the entry is not proposed; null when it may be, and then it counts as written. */
  refusalOf(entry: ProposedEntry): Refusal | null {
    const reason = this.whyNoRoom()
    if (reason !== null && needsRoom(entry)) return reason
    this.#parts.onPassed(entry.payload.byteLength)
    return null
  }

  /** Why nothing that needs room is proposed; null while it is. */
  whyNoRoom(): Refusal | null {
    const { isDiskFull, stateSize, maxState } = this.#parts
    if (isDiskFull()) return 'diskFull'
    const { entryCount, byteCount } = stateSize()
    const isFull = entryCount >= maxState.entryCount || byteCount >= maxState.byteCount
    return isFull ? 'storeFull' : null
  }
}

/** Decoded only while there is no room; whoever proposes has made sure that it can be. */
function needsRoom({ kind, payload }: ProposedEntry): boolean {
  return (
    kind === ENTRY_KIND.write &&
    decodeWrite(payload).changes.some((change) => change.kind === 'put')
  )
}
