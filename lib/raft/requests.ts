// What the driver asks of a leader: proposals, configuration changes, reads, transfers. Each is
// taken or refused in the same step; nothing of a refused one happened.

import { assert } from '../assert.ts'
import { MAX_ENTRY_BYTES } from '../limits.ts'
import type { Core } from './core.ts'
import type { Event, Ref, RefusalReason } from './effects.ts'
import { encodeConfiguration } from './encoding.ts'
import { ENTRY_KIND } from './entry.ts'
import type { Proposal } from './leader.ts'
import { appendProposals, hasCommittedInTerm, maybeHandOver, serveReads } from './leader.ts'
import { changed } from './membership.ts'
import type { LeaderState } from './roles.ts'

type EventOf<Kind extends Event['kind']> = Extract<Event, { kind: Kind }>

export function onPropose(core: Core, { ref, entries }: EventOf<'propose'>): void {
  assert(entries.length > 0, 'a proposal has entries')
  for (const { kind, payload } of entries) {
    assert(kind !== ENTRY_KIND.empty && kind !== ENTRY_KIND.configuration, 'those are made here')
    assert(payload.byteLength <= MAX_ENTRY_BYTES, 'an entry is within its limit')
  }
  const { role } = core
  if (role.kind !== 'leader') return core.outbox.refuse(ref, 'notLeader')
  const reason = whyNotAppend(core, role)
  if (reason !== null) return core.outbox.refuse(ref, reason)
  append(core, role, { ref, entries })
}

export function onChange(core: Core, { ref, change }: EventOf<'change'>): void {
  const { role, configurations } = core
  if (role.kind !== 'leader') return core.outbox.refuse(ref, 'notLeader')
  const isSettled = !configurations.isJoint && configurations.index <= core.commitIndex
  const reason = whyNotAppend(core, role)
  if (reason !== null) return core.outbox.refuse(ref, reason)
  // one change at a time, and none before this term has committed an entry (R9, B18)
  if (!isSettled || !hasCommittedInTerm(core, role)) {
    return core.outbox.refuse(ref, 'changeInProgress')
  }
  const next = changed(configurations.current, change)
  if (next === null) return core.outbox.refuse(ref, 'invalidChange')
  const payload = encodeConfiguration(next)
  append(core, role, { ref, entries: [{ kind: ENTRY_KIND.configuration, payload }] })
}

export function onRead(core: Core, { ref }: EventOf<'read'>): void {
  const { role } = core
  if (role.kind !== 'leader') return core.outbox.refuse(ref, 'notLeader')
  if (role.reads.isFull) return core.outbox.refuse(ref, 'overloaded')
  role.reads.add(ref)
  serveReads(core, role)
}

export function onTransfer(core: Core, { ref, target }: EventOf<'transfer'>): void {
  const { role, configurations } = core
  if (role.kind !== 'leader') return core.outbox.refuse(ref, 'notLeader')
  if (role.transfer !== null) return core.outbox.refuse(ref, 'transferring')
  const isPossible = target !== core.id && configurations.voters.incoming.includes(target)
  if (!isPossible) return core.outbox.refuse(ref, 'invalidChange')
  role.transfer = { target, deadlineMs: core.now.nowMs + core.timing.electionMinMs }
  const end = core.log.last.index + 1
  core.outbox.propose({ ref, term: core.term, from: end, to: end })
  maybeHandOver(core, role)
}

/** Why nothing may be appended for a client now, or null. */
function whyNotAppend(core: Core, role: LeaderState): RefusalReason | null {
  const { incoming } = core.configurations.voters
  // a leader that is not in the final configuration takes nothing new (B25)
  if (role.transfer !== null || !core.configurations.isVoter(core.id)) return 'transferring'
  return role.clock.isOff(incoming, core.now) ? 'clockOff' : null
}

interface Request {
  readonly ref: Ref
  readonly entries: readonly Proposal[]
}

function append(core: Core, role: LeaderState, { ref, entries }: Request): void {
  const from = appendProposals(core, role, entries)
  core.outbox.propose({ ref, term: core.term, from, to: from + entries.length })
}
