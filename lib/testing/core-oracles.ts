// What must hold of the consensus cores of a cluster in every run, checked after every step. The
// numbers are those of the invariants of a simulated run: lib/testing/README.md. What is kept here
// survives crashes: it is the world's memory, not a node's. An oracle looks at evidence (what is on
// which disk when something is said), not only at consequences, which show up much later or never.

import b4a from 'b4a'
import { present } from '../assert.ts'
import type { NodeId } from '../node-id.ts'
import type { Event, Status, Write } from '../raft/effects.ts'
import type { IndexedConfiguration } from '../raft/configurations.ts'
import type { Entry, EntryId, Index, Term } from '../raft/entry.ts'
import { decodeConfiguration } from '../raft/encoding.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import type { Message } from '../raft/message.ts'
import type { SendLimits } from '../raft/send-limits.ts'
import type { Rarity } from './coverage.ts'
import { LogMirror } from './log-mirror.ts'
import type { StoredLog } from './log-mirror.ts'
import { hold } from './oracle.ts'
import type { DurableLog, ObservedCore, Step } from './oracle.ts'
import { ReadRecord } from './read-record.ts'
import { activeSets, checkChange, checkContiguous, checkUnchanged } from './step-checks.ts'
import { follows, isJoint, lastSent } from './step-checks.ts'
import { VoteRecord } from './vote-record.ts'
import { WindowRecord } from './window-record.ts'

export interface CoreOraclesParts {
  /** the disk of a member that was ever seen */
  readonly durable: (id: NodeId) => DurableLog
  readonly limits: SendLimits
  readonly count: (rarity: Rarity, by?: number) => void
}

export class CoreOracles {
  readonly #parts: CoreOraclesParts
  /** term → who led it (I1) */
  readonly #leaders = new Map<Term, NodeId>()
  /** by index: term → hash, which covers everything before (I2) */
  readonly #hashes: Map<Term, Uint8Array>[] = []
  /** hash by index: what any node ever committed (I3, I4) */
  readonly #committed: Uint8Array[] = []
  /** by index: the term in which it was first known to be committed (I3) */
  readonly #commitTerms: Term[] = []
  /** configurations in anybody's log, by index (I9) */
  readonly #configurations: (IndexedConfiguration & { readonly hash: Uint8Array })[] = []
  /** who voted for whom (I1, I7) */
  readonly #votes: VoteRecord
  /** what each core last said of when it wants to be called (I11) */
  readonly #deadlines = new Map<NodeId, number>()
  readonly #shownTerms = new Map<NodeId, Term>()
  /** each node's log as its steps made it, durable or not (I9) */
  readonly #mirrors = new Map<NodeId, LogMirror>()
  /** up to where the leader of a term has shown a node to agree with it (I6) */
  readonly #proven = new Map<NodeId, { readonly term: Term; readonly index: Index }>()
  readonly #durableTerms = new Map<NodeId, Term>()
  /** what each node last acknowledged to the leader of which term: the memory of the amnesia guard */
  readonly #acknowledged = new Map<NodeId, { readonly term: Term; readonly index: Index }>()
  readonly #reads = new ReadRecord()
  readonly #windows: WindowRecord

  constructor(parts: CoreOraclesParts) {
    this.#parts = parts
    this.#windows = new WindowRecord(parts.limits)
    this.#votes = new VoteRecord((id) => parts.durable(id).hardState)
  }

  /** Entries that were committed anywhere. */
  get committedCount(): number {
    return this.#committed.length
  }

  isCommitted(index: Index, hash: Uint8Array): boolean {
    const known = this.#committed[index - 1]
    return known !== undefined && b4a.equals(known, hash)
  }

  /** A node starts, with what its disk keeps. */
  onOpen(id: NodeId, { base, entries, hardState }: StoredLog): void {
    const mirror = new LogMirror(base)
    if (base !== null && base.id.index > 0) this.#checkBase(id, base.id, base.configuration)
    for (const entry of entries) {
      this.#checkEntry(entry)
      mirror.append(entry)
      if (hardState !== null && entry.index <= hardState.commitIndex) {
        this.#learnCommitted(entry, hardState.term)
      }
    }
    const term = hardState?.term ?? 0
    const known = this.#durableTerms.get(id) ?? 0
    hold(term >= known, 'I8', `the durable term of node ${id} fell from ${known} to ${term}`)
    this.#mirrors.set(id, mirror)
    this.#proven.delete(id)
    this.#deadlines.delete(id)
  }

  /** A read is asked before its step, so that what the step commits does not count. */
  beforeStep(core: ObservedCore, event: Event): void {
    if (event.kind === 'read') this.#reads.ask(core, event.ref, this.#committed.length)
  }

  afterStep(step: Step): void {
    const { core, event, before, after, effects } = step
    hold(effects.diverged === null, 'I2', `the log of node ${core.id} diverged`)
    hold(effects.secondLeader === null, 'I1', `node ${core.id} hears two leaders of a term`)
    if (effects.write !== null) this.#checkWrite(step, effects.write)
    if (after.role === 'leader') this.#checkLeader(step)
    hold(after.commitIndex >= before.commitIndex, 'I8', `the commit index of ${core.id} fell`)
    hold(after.term >= before.term, 'I8', `the term of node ${core.id} fell`)
    hold(effects.commitIndex === after.commitIndex, 'I10', 'effects name the commit index')
    this.#learnProof(step)
    if (after.commitIndex > before.commitIndex) this.#checkCommit(step)
    this.#checkConfiguration(core, after)
    this.#checkDisk(core, after)
    if (event.kind === 'message' && event.message.kind === 'preVote') {
      checkUnchanged(step, this.#deadlines.get(core.id))
    }
    this.#deadlines.set(core.id, effects.deadlineMs)
    this.#checkReads(step)
    const fault = this.#windows.check(step)
    hold(fault === null, 'I10', fault ?? '')
  }

  /** At the moment when a message leaves (I7). */
  onSend(from: NodeId, to: NodeId, message: Message): void {
    if (message.kind === 'preVote') return
    const term = message.kind === 'preVoteAnswer' ? message.ownTerm : message.term
    const shown = this.#shownTerms.get(from) ?? 0
    hold(term >= shown, 'I7', `node ${from} showed term ${shown}, now ${term}`)
    const durable = this.#parts.durable(from)
    const kept = durable.hardState?.term ?? 0
    hold(term <= kept, 'I7', `node ${from} shows term ${term}, on its disk is ${kept}`)
    this.#shownTerms.set(from, term)
    if (message.kind === 'vote') this.#checkVote(from, term, from)
    if (message.kind === 'voteAnswer' && message.isGranted) this.#checkVote(from, term, to)
    if (message.kind === 'appendAnswer') this.#checkAnswer(from, message, durable)
    if (message.kind === 'append') checkContiguous(message)
    if (message.kind === 'timeoutNow') this.#checkHandOver(from, to, term)
  }

  /** The process of a node has died; what it did not make durable is gone. */
  onCrash(id: NodeId): void {
    this.#durableTerms.set(id, this.#parts.durable(id).hardState?.term ?? 0)
  }

  #checkEntry(entry: Entry): void {
    const { index, term, hash } = entry
    this.#learnConfiguration(entry)
    const terms = (this.#hashes[index] ??= new Map<Term, Uint8Array>())
    const known = terms.get(term)
    if (known === undefined) terms.set(term, hash)
    else hold(b4a.equals(known, hash), 'I2', `two entries ${index} of term ${term}`)
  }

  /** Where a log begins is committed, and the configuration there is the last one up to it (I4, I9). */
  #checkBase(id: NodeId, base: EntryId, configuration: IndexedConfiguration | null): void {
    const isCommitted = this.isCommitted(base.index, base.hash)
    hold(isCommitted, 'I4', `the log of ${id} begins after ${base.index}, which is not committed`)
    const expected = this.#configurations.findLast(({ index, hash }) => {
      return index <= base.index && this.isCommitted(index, hash)
    })
    const isSame =
      expected?.index === configuration?.index &&
      JSON.stringify(expected?.configuration) === JSON.stringify(configuration?.configuration)
    hold(isSame, 'I9', `the log of ${id} begins after ${base.index} with another configuration`)
  }

  /** A configuration that is in anybody's log, committed or not. */
  #learnConfiguration({ index, kind, hash, payload }: Entry): void {
    if (kind !== ENTRY_KIND.configuration) return
    const isKnown = this.#configurations.some((one) => b4a.equals(one.hash, hash))
    if (isKnown) return
    this.#configurations.push({ index, hash, configuration: decodeConfiguration(payload) })
    this.#configurations.sort((a, b) => a.index - b.index)
  }

  #checkWrite(step: Step, write: Write): void {
    const { core, before } = step
    const { id } = core
    const mirror = present(this.#mirrors.get(id), 'a mirror')
    const durable = this.#parts.durable(id).hardState
    if (write.hardState !== null && durable !== null) {
      const { term, commitIndex } = write.hardState
      hold(term >= durable.term, 'I8', `the written term of node ${id} falls`)
      hold(commitIndex >= durable.commitIndex, 'I8', `the written commit index of ${id} falls`)
    }
    if (write.install !== null) {
      const { id: base, configuration, configurationIndex } = write.install
      this.#checkBase(id, base, { index: configurationIndex, configuration })
      mirror.install(write.install)
    }
    if (write.truncateFrom !== null) {
      const { truncateFrom } = write
      const isUncommitted =
        truncateFrom > before.commitIndex && truncateFrom > (durable?.commitIndex ?? 0)
      hold(isUncommitted, 'I8', `node ${id} truncates committed entries from ${truncateFrom}`)
      mirror.truncateFrom(truncateFrom)
      this.#parts.count('truncations')
    }
    for (const entry of write.entries) {
      this.#checkEntry(entry)
      hold(entry.index === mirror.lastIndex + 1, 'I7', `a gap before entry ${entry.index}`)
      if (entry.kind === ENTRY_KIND.configuration) checkChange(step, mirror, entry.index)
      mirror.append(entry)
    }
  }

  #checkLeader({ core, before, after }: Step): void {
    const known = this.#leaders.get(after.term)
    if (known === core.id) return
    hold(known === undefined, 'I1', `${known} and ${core.id} lead term ${after.term}`)
    this.#leaders.set(after.term, core.id)
    this.#checkElected(core, before, after.term)
    this.#parts.count('elections')
    if (isJoint(before.configuration)) this.#parts.count('jointElections')
    // votes may arrive when later terms have committed more: that leader owes what was committed before
    const last = this.#commitTerms.findLastIndex((term) => term < after.term) + 1
    if (last === 0) return
    const id = core.knownAt(last)
    const hash = present(this.#committed[last - 1], 'a hash')
    const isThere = id === null ? last < core.baseIndex : b4a.equals(id.hash, hash)
    hold(isThere, 'I3', `the leader of term ${after.term} misses committed entry ${last}`)
  }

  #checkElected({ id }: ObservedCore, { configuration }: Status, term: Term): void {
    for (const set of activeSets(configuration)) {
      const votes = this.#votes.of(set, term, id)
      const isQuorum = votes.length * 2 > set.length
      hold(isQuorum, 'I1', `${id} leads term ${term} with ${votes.length} votes of ${set.join()}`)
    }
  }

  /** What this node tells the leader of its term to hold, it has compared with it. */
  #learnProof({ core, event, before, after, effects }: Step): void {
    const { id } = core
    const { term } = after
    const known = this.#proven.get(id)
    let index = known?.term === term ? known.index : 0
    if (event.kind === 'message' && event.message.kind === 'append') {
      for (const { to, message } of [...effects.messages, ...effects.gated]) {
        const isAnswer = to === event.from && message.kind === 'appendAnswer'
        if (!isAnswer || message.term !== term || message.result.kind !== 'matched') continue
        const { matchIndex } = message.result
        const isCompared = matchIndex <= Math.max(lastSent(event.message), before.commitIndex)
        hold(isCompared, 'I7', `node ${id} acknowledges ${matchIndex} without having compared it`)
        index = Math.max(index, matchIndex)
      }
    }
    // a snapshot is committed, so this term's leader holds it
    index = Math.max(index, effects.write?.install?.id.index ?? 0)
    if (known?.term !== term || known.index !== index) this.#proven.set(id, { term, index })
  }

  #learnCommitted({ index, hash }: EntryId, term: Term): void {
    const known = (this.#committed[index - 1] ??= hash)
    this.#commitTerms[index - 1] ??= term
    hold(b4a.equals(known, hash), 'I4', `two committed entries ${index}`)
  }

  #checkCommit({ core, before, after, effects }: Step): void {
    const installed = effects.write?.install?.id.index ?? 0
    hold(installed <= this.#committed.length, 'I4', `${core.id} installs uncommitted ${installed}`)
    for (
      let index = Math.max(before.commitIndex + 1, installed);
      index <= after.commitIndex;
      index++
    ) {
      const id = core.knownAt(index)
      hold(id !== null, 'I4', `node ${core.id} commits entry ${index}, which it does not hold`)
      this.#learnCommitted(id, after.term)
    }
    const isOwn = before.role === 'leader' && before.term === after.term
    if (isOwn) this.#checkQuorum(core, before, after.commitIndex)
    else if (after.role !== 'leader') this.#checkProof(core, after)
  }

  #checkQuorum(core: ObservedCore, before: Status, commitIndex: Index): void {
    const id = present(core.knownAt(commitIndex) ?? undefined, 'a committed entry')
    hold(id.term === before.term, 'I5', `entry ${commitIndex} of term ${id.term} was counted`)
    for (const set of activeSets(before.configuration)) {
      const holders = set.filter((voter) => {
        const durable = this.#parts.durable(voter)
        const stored = durable.idAt(commitIndex)
        // where its log begins was checked: what is before has been committed
        if (stored === null) return commitIndex < durable.baseIndex
        return b4a.equals(stored.hash, id.hash)
      })
      const isQuorum = holders.length * 2 > set.length
      hold(isQuorum, 'I5', `${holders.length} of ${set.join()} hold committed ${commitIndex}`)
    }
  }

  #checkProof(core: ObservedCore, after: Status): void {
    const proven = this.#proven.get(core.id)?.index ?? 0
    const isProven = after.commitIndex <= proven
    hold(isProven, 'I6', `node ${core.id} commits ${after.commitIndex}, compared up to ${proven}`)
  }

  #checkConfiguration(core: ObservedCore, after: Status): void {
    const mirror = present(this.#mirrors.get(core.id), 'a mirror')
    if (mirror.checkedIndex === after.configurationIndex && !mirror.isChanged) return
    mirror.isChanged = false
    mirror.checkedIndex = after.configurationIndex
    const [previous, last] = mirror.configurations.slice(-2)
    const newest = last ?? previous
    hold((newest?.index ?? 0) === after.configurationIndex, 'I9', 'the last one in the log is used')
    if (previous === undefined || last === undefined) return
    if (isJoint(last.configuration)) this.#parts.count('jointChanges')
    const isNeighbour = follows(previous.configuration, last.configuration)
    hold(isNeighbour, 'I9', `quorums before and after entry ${last.index} need not intersect`)
  }

  #checkReads(step: Step): void {
    const { core, before, after, effects } = step
    this.#reads.see(core, after.term, step)
    const choices = [activeSets(before.configuration), activeSets(after.configuration)]
    for (const read of effects.reads) {
      const fault = this.#reads.confirm(core, read, choices)
      hold(fault === null, 'E2', fault ?? '')
      this.#parts.count('linearizableReads')
    }
    const fault = this.#reads.checkPending(core, after.role, effects.refused)
    hold(fault === null, 'I10', fault ?? '')
  }

  #checkAnswer(
    from: NodeId,
    { term, result }: Message & { kind: 'appendAnswer' },
    { lastIndex }: DurableLog
  ): void {
    if (result.kind === 'rejected') {
      this.#parts.count('rejectedAppends')
      return
    }
    const { matchIndex } = result
    hold(lastIndex >= matchIndex, 'I7', `${from} acknowledges ${matchIndex}, durable ${lastIndex}`)
    const known = this.#acknowledged.get(from)
    const index = known?.term === term ? Math.max(known.index, matchIndex) : matchIndex
    this.#acknowledged.set(from, { term, index })
  }

  /** What a node says of its disk is so, and never looks as if it had lost what it acknowledged (R17). */
  #checkDisk({ id }: ObservedCore, { onDisk }: Status): void {
    const { hardState, lastIndex } = this.#parts.durable(id)
    const isTrue = onDisk.term === (hardState?.term ?? 0) && onDisk.lastIndex === lastIndex
    hold(isTrue, 'I8', `node ${id} says ${onDisk.term}/${onDisk.lastIndex} of its disk`)
    const { term, index } = this.#acknowledged.get(id) ?? { term: 0, index: 0 }
    const isKept = onDisk.term > term || (onDisk.term === term && onDisk.lastIndex >= index)
    hold(isKept, 'I8', `node ${id} looks as if it had lost entry ${index} of term ${term}`)
  }

  #checkVote(voter: NodeId, term: Term, candidate: NodeId): void {
    const fault = this.#votes.cast(voter, term, candidate)
    hold(fault === null, 'I7', fault ?? '')
  }

  /** Whoever is asked to take over holds all that the leader has, unless it has a later one (B55). */
  #checkHandOver(leader: NodeId, heir: NodeId, term: Term): void {
    const { hardState, lastIndex } = this.#parts.durable(heir)
    const own = present(this.#mirrors.get(leader), 'a mirror').lastIndex
    const isBehind = hardState?.term === term && lastIndex < own
    hold(
      !isBehind,
      'I7',
      `${leader} asks ${heir} to lead, which has ${lastIndex} of ${own} entries`
    )
  }
}
