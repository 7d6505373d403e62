// What a leader has on its way to each follower, counted from outside: by the appends that it sends and by
// how far it knows each follower to have come (I10). A window that leaks stops a follower for good; one
// that forgets sends without a bound.

import type { NodeId } from '../node-id.ts'
import type { Effects, FollowerStatus } from '../raft/effects.ts'
import type { Index } from '../raft/entry.ts'
import type { SendLimits } from '../raft/send-limits.ts'
import type { Step } from './oracle.ts'

interface Sent {
  readonly lastIndex: Index
  readonly bytes: number
}

type Windows = Map<NodeId, readonly Sent[]>

export class WindowRecord {
  readonly #limits: SendLimits
  /** by leader and follower, oldest first */
  readonly #byLeader = new Map<NodeId, Windows>()

  constructor(limits: SendLimits) {
    this.#limits = limits
  }

  /** After each step. Returns what is wrong with its windows, or null. */
  check({ core, before, after, effects }: Step): string | null {
    const { id } = core
    const isSameLead = before.role === 'leader' && before.term === after.term
    const known: Windows = (isSameLead ? this.#byLeader.get(id) : undefined) ?? new Map()
    const windows: Windows = new Map()
    this.#byLeader.set(id, windows)
    for (const [follower, status] of after.progress) {
      const isOpen = before.progress.get(follower)?.state === 'replicate'
      const earlier = isOpen ? (known.get(follower) ?? []) : []
      const sent = status.state === 'replicate' ? [...earlier, ...sentTo(follower, effects)] : []
      const window = sent.filter(({ lastIndex }) => lastIndex > status.matchIndex)
      windows.set(follower, window)
      const fault = this.#compare(window, status)
      if (fault !== null) return `${id} to ${follower}: ${fault}`
    }
    return null
  }

  #compare(
    window: readonly Sent[],
    { inflightCount, inflightBytes }: FollowerStatus
  ): string | null {
    const count = window.length
    const bytes = window.reduce((sum, sent) => sum + sent.bytes, 0)
    if (inflightCount !== count || inflightBytes !== bytes) {
      return `${count} appends with ${bytes} bytes are on the way, it says ${inflightCount} with ${inflightBytes}`
    }
    const { inflightAppends, inflightBytes: maxBytes } = this.#limits
    // an entry that is larger than the whole window travels alone
    const isWithin = count <= inflightAppends && (bytes <= maxBytes || count === 1)
    return isWithin ? null : `${count} appends with ${bytes} bytes are more than the window holds`
  }
}

/** Appends with entries; empty ones ask, and are not counted. */
function sentTo(follower: NodeId, { messages, gated }: Effects): readonly Sent[] {
  return [...messages, ...gated].flatMap(({ to, message }) => {
    if (to !== follower || message.kind !== 'append') return []
    const last = message.entries.at(-1)
    if (last === undefined) return []
    const bytes = message.entries.reduce(
      (sum, { payload }) => sum + payload.length + FRAME_BYTES,
      0
    )
    return [{ lastIndex: last.index, bytes }]
  })
}

/** What each entry takes beside its payload. */
const FRAME_BYTES = 64
