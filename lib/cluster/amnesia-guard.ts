// What a member must not have forgotten. A disk that was wiped, or put back as it was earlier, makes a
// node that does not know what it has promised: its vote could be given twice, and what it acknowledged
// counted twice. Two processes with one key, from a copied folder, do the same. So each member remembers
// of each other one what it has heard, and lets in no process that knows less (DESIGN §4, MEM-06 to 08).
//
// Within one life of a process nothing is compared: it has its log before it, hellos overtake
// acknowledgements, and connections overtake each other. Pure: when it is kept is guard-keeper.ts's.

import type { ErrorDetail } from '../errors.ts'
import type { Index, Term } from '../raft/entry.ts'

/** What is remembered of a member, by its key. */
export interface Memory {
  /** the highest boot counter heard, and which process and which log said it; hex */
  readonly boot: number
  readonly instance: string
  readonly storageEpoch: string
  /** the highest durable term that it has said: a term never falls */
  readonly saidTerm: Term
  /** the last term in which this node led and the member acknowledged, and the highest index of that; 0: never */
  readonly term: Term
  readonly index: Index
}

/** What a hello says of the process and the disk behind it. */
export interface Claim {
  readonly boot: number
  /** hex */
  readonly instance: string
  readonly storageEpoch: string
  readonly durableTerm: Term
  readonly lastIndex: Index
}

/** What else this node knows of the member. */
export interface Standing {
  /** another process of that key has a link to this node */
  readonly isLinked: boolean
  /** it has a vote, so it has had the log */
  readonly isVoter: boolean
}

/** Why a process that says this is not let in; null when it is. */
export function refusalOf(
  memory: Memory | undefined,
  claim: Claim,
  { isLinked, isVoter }: Standing
): ErrorDetail | null {
  if (memory === undefined || memory.instance === claim.instance) return null
  if (memory.storageEpoch !== claim.storageEpoch) {
    // a node that never had anything may begin again with nothing
    const hadNothing = !isVoter && memory.saidTerm === 0 && memory.term === 0
    return hadNothing ? null : dataLost('its log was made anew')
  }
  if (claim.boot <= memory.boot) {
    // with the key in use by who was started later, or came first, the data may be whole
    if (isLinked) return fenced(memory, claim)
    return dataLost(`it was started ${memory.boot} times, and now says ${claim.boot}`)
  }
  const lack = lackOf(memory, claim)
  return lack === null ? null : dataLost(lack)
}

/** The memory after a process that says this was let in. */
export function remember(memory: Memory | undefined, claim: Claim): Memory {
  const { boot, instance, storageEpoch, durableTerm } = claim
  const { saidTerm = 0, term = 0, index = 0 } = memory ?? {}
  return {
    // of one process it never changes
    boot: memory?.instance === instance ? memory.boot : boot,
    instance,
    storageEpoch,
    saidTerm: Math.max(saidTerm, durableTerm),
    term,
    index
  }
}

/** The memory after the member acknowledged `index` to this node, which leads `term`. */
export function acknowledged(memory: Memory, term: Term, index: Index): Memory {
  if (term < memory.term || (term === memory.term && index <= memory.index)) return memory
  return { ...memory, term, index }
}

/** What the log does not hold any more, in words; null when nothing is missing. */
function lackOf(memory: Memory, { durableTerm, lastIndex }: Claim): string | null {
  const term = Math.max(memory.term, memory.saidTerm)
  if (durableTerm < term) return `it was in term ${term}, and now says ${durableTerm}`
  if (durableTerm > memory.term || lastIndex >= memory.index) return null
  return `it had ${memory.index} entries, and now says ${lastIndex}`
}

function dataLost(lack: string): ErrorDetail {
  return {
    code: 'DATA_LOST',
    message: `this node has forgotten what it promised: ${lack}`
  }
}

function fenced(memory: Memory, claim: Claim): ErrorDetail {
  return {
    code: 'FENCED',
    message: `another process has this node's key, or had a moment ago: start ${memory.boot}, and this is start ${claim.boot}`
  }
}
