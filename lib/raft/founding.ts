// How a cluster begins. Its founder writes one configuration entry, naming itself the only voter,
// as if it had led a term 1 of its own: index 1, term 1, after the genesis. The entry is committed
// by definition, since its writer is the only voter. Nobody else can win term 1, because the
// founder's hard state says that its vote of that term is given. The first start then elects the
// founder in term 2, like any restart of a sole voter.

import { assert } from '../assert.ts'
import type { Configuration, Member } from './configuration.ts'
import type { HardState } from './effects.ts'
import { encodeConfiguration } from './encoding.ts'
import type { Entry } from './entry.ts'
import { chained, ENTRY_KIND, genesis } from './entry.ts'

const FOUNDING_TERM = 1

/** The log of a new cluster, written together with `foundingHardState` before the first start. */
export function foundingEntries(
  clusterId: Uint8Array,
  member: Member,
  timeMs: number
): readonly Entry[] {
  assert(member.role === 'voter', 'the founder votes')
  assert(Number.isSafeInteger(timeMs) && timeMs >= 0, 'a time is in whole milliseconds')
  const configuration: Configuration = { members: [member], outgoing: [] }
  const payload = encodeConfiguration(configuration)
  const kind = ENTRY_KIND.configuration
  return [chained(genesis(clusterId), { term: FOUNDING_TERM, kind, timeMs, payload })]
}

export function foundingHardState(member: Member): HardState {
  return { term: FOUNDING_TERM, votedFor: member.id, commitIndex: 1 }
}
