// How a replica ends: by a failed store, by a log that differs, by `close`.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { StorageError } from '../../lib/errors.ts'
import { chained, ENTRY_KIND } from '../../lib/raft/entry.ts'
import type { Outcome } from '../../lib/replica/proposals.ts'
import type { ReadOutcome } from '../../lib/replica/waiting-reads.ts'
import { alone, chainAfter, leads, propose, putOf, read, Replicas } from './replicas.ts'

test('after a failed write nothing is written, sent or answered with success', async (t) => {
  const net = new Replicas([1, 2, 3])
  const leader = await net.elect()
  leader.isWriting = false
  const outcomes = propose(leader, 'k')
  await net.time.run(1)
  leader.log.fail(new StorageError({ code: 'IO_ERROR', message: 'planted' }))
  t.is(leader.failure?.code, 'IO_ERROR')
  // its owner closes the replica in the same turn
  leader.replica.close()
  t.alike(outcomes, [{ kind: 'unknown' }], 'the followers may have it')
  leader.happened.length = 0
  leader.letWrite()
  const later = propose(leader, 'later')
  await net.time.run(10_000)
  t.alike(leader.happened, [])
  t.alike(later, [{ kind: 'refused', reason: 'closing' }])
  t.ok(net.others(leader).some(leads), 'the others go on')
})

test('a record that turns out bad when it is read ends the replica', async (t) => {
  const net = new Replicas([1])
  const entries = chainAfter(net.machine(1).log.last, 1, 3)
  const first = net.machine(1).log.entries(1, 2, 1)
  const hardState = { term: 1, votedFor: null, commitIndex: 4 }
  const machine = net.add(2, [...first, ...entries], hardState)
  const error = new StorageError({ code: 'CORRUPTED', message: 'planted' })
  machine.log.entries = () => {
    throw error
  }
  // what is committed and not applied yet is read again
  machine.replica.start()
  await net.time.run(10)
  t.is(machine.failure, error)
  const happened = machine.happened.length
  await net.time.run(20_000)
  t.is(machine.happened.length, happened, 'nothing after it')
})

test('a leader with another entry in place of a committed one is named, and followed no more', async (t) => {
  const net = new Replicas([1, 2, 3])
  const leader = await net.elect()
  const follower = present(net.others(leader)[0], 'a follower')
  const id = present([...net.machines].find(([, one]) => one === follower)?.[0], 'its id')
  const leaderId = present(leader.replica.status.leader, 'the leader')
  propose(leader, 'k')
  await net.time.run(500)
  const { term, lastIndex } = follower.replica.status
  const previous = present(leader.log.entries(lastIndex - 1, lastIndex, 1)[0], 'an entry')
  const payload = putOf('another')
  const forged = chained(previous, { term, kind: ENTRY_KIND.write, timeMs: 9, payload })
  follower.happened.length = 0
  follower.replica.onMessage(leaderId, {
    kind: 'append',
    term,
    session: 99,
    previousIndex: previous.index,
    previousTerm: previous.term,
    previousHash: previous.hash,
    entries: [forged],
    commitIndex: 0
  })
  t.is(follower.failure?.code, 'LOG_DIVERGED')
  t.alike(follower.failure?.detail.fields, { index: lastIndex, node: id, leader: leaderId })
  await net.time.run(10_000)
  t.alike(follower.happened, [], 'it neither wrote nor said anything')
})

test('a second leader of a term is told upward with both names, and ends nobody', async (t) => {
  const net = new Replicas([1, 2, 3])
  const leader = await net.elect()
  const [follower, claimant] = net.others(leader).map((one) => present(one, 'a follower'))
  const idOf = (machine: typeof follower) =>
    present([...net.machines].find(([, one]) => one === machine)?.[0], 'its id')
  const { term } = leader.replica.status
  const claim = { kind: 'heartbeat', term, boot: 1, round: 9_999, commitIndex: 0 } as const
  const found = { term, leader: idOf(leader), claimant: idOf(claimant) }
  for (const machine of [leader, present(follower, 'a follower')]) {
    machine.replica.onMessage(found.claimant, claim)
    machine.replica.onMessage(found.claimant, claim)
    t.alike(machine.secondLeaders, [found])
    t.is(machine.failure, null)
  }
  const outcomes = propose(leader, 'k')
  await net.time.run(500)
  t.is(outcomes[0]?.kind, 'done', 'the leader goes on')
})

test('when the own record is the bad one, a divergence is corruption', async (t) => {
  const net = new Replicas([1, 2, 3])
  const leader = await net.elect()
  const follower = present(net.others(leader)[0], 'a follower')
  const leaderId = present(leader.replica.status.leader, 'the leader')
  const { term, lastIndex } = follower.replica.status
  follower.log.entries = () => {
    throw new StorageError({ code: 'CORRUPTED', message: 'planted' })
  }
  follower.replica.onMessage(leaderId, {
    kind: 'append',
    term,
    session: 99,
    previousIndex: lastIndex,
    previousTerm: term,
    previousHash: new Uint8Array(32),
    entries: [],
    commitIndex: 0
  })
  t.is(follower.failure?.code, 'CORRUPTED')
})

test('close answers everything once: refused what went nowhere, unknown what may be in the log', async (t) => {
  const { net, machine } = await alone()
  machine.isWriting = false
  machine.isApplying = false
  const appended = propose(machine, 'appended')
  await net.time.run(1)
  const waiting = propose(machine, 'waiting')
  const unasked = read(machine)
  const notApplied: ReadOutcome[] = []
  machine.replica.waitApplied(1_000, (outcome) => notApplied.push(outcome))
  const transfers: unknown[] = []
  machine.replica.transfer(2, (reason) => transfers.push(reason))
  const changes: Outcome[] = []
  machine.replica.change({ add: [], promote: [2], demote: [], remove: [] }, (outcome) =>
    changes.push(outcome)
  )
  machine.replica.close()
  const closing = { kind: 'refused', reason: 'closing' }
  t.alike(appended, [{ kind: 'unknown' }])
  t.alike(waiting, [closing])
  t.alike(unasked, [closing])
  t.alike(notApplied, [closing])
  t.alike(changes, [closing])
  t.alike(transfers, ['closing'])
  machine.replica.close()
  machine.letWrite()
  machine.letApply()
  await net.time.run(10_000)
  const all = [appended, waiting, unasked, notApplied, changes, transfers]
  t.alike(
    all.map((answers) => answers.length),
    [1, 1, 1, 1, 1, 1]
  )
})

test('an ended replica leaves no timer and takes no step', async (t) => {
  const net = new Replicas([1, 2, 3])
  const leader = await net.elect()
  for (const { replica } of net.machines.values()) replica.close()
  for (const { happened } of net.machines.values()) happened.length = 0
  const { status } = leader.replica
  leader.replica.onLinkUp(2)
  leader.replica.onLinkLost(1)
  // what was on its way arrives, no timer is due yet
  await net.time.run(5)
  t.is(net.time.pendingCount, 0, 'nothing waits for its time')
  await net.time.run(60_000)
  for (const { happened } of net.machines.values()) t.alike(happened, [])
  t.is(leader.replica.status, status)
})
