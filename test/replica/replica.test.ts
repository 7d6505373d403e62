// The loop over the real core and stores in memory, on virtual time.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { MAX_PENDING_PROPOSALS, MAX_PENDING_READS } from '../../lib/limits.ts'
import type { Outcome } from '../../lib/replica/proposals.ts'
import type { ReadOutcome } from '../../lib/replica/waiting-reads.ts'
import type { Machine } from './replicas.ts'
import { alone, leads, propose, read, Replicas } from './replicas.ts'

const kindsOf = (outcomes: readonly (Outcome | ReadOutcome)[]): readonly string[] =>
  outcomes.map((outcome) => outcome.kind)

test('what is proposed in one turn is one write; what comes meanwhile is the next', async (t) => {
  const { net, machine } = await alone()
  const before = machine.writes.length
  const first = ['a', 'b', 'c'].map((key) => propose(machine, key))
  await net.time.run(1)
  t.is(machine.writes.length, before + 1)
  t.is(machine.writes.at(-1)?.entries.length, 3)
  const second = ['d', 'e'].map((key) => propose(machine, key))
  await net.time.run(0)
  t.is(machine.writes.length, before + 1, 'the write before is in progress')
  await net.time.run(10)
  t.is(machine.writes.length, before + 2)
  t.is(machine.writes.at(-1)?.entries.length, 2)
  t.alike([...first, ...second].flatMap(kindsOf), ['done', 'done', 'done', 'done', 'done'])
})

test('a hundred proposals one after another, each in its own turn, share writes', async (t) => {
  const { net, machine } = await alone()
  const before = machine.writes.length
  const outcomes: Outcome[][] = []
  for (let count = 0; count < 100; count++) {
    outcomes.push(propose(machine, `k${count}`))
    await net.time.run(0.1)
  }
  await net.time.run(10)
  t.alike(new Set(outcomes.flatMap(kindsOf)), new Set(['done']))
  t.is(outcomes.flat().length, 100)
  const writes = machine.writes.length - before
  t.ok(writes <= 8, `${writes} writes of 2 ms in 10 ms`)
})

test('nothing is answered synchronously', async (t) => {
  const { net, machine } = await alone()
  const { replica } = machine
  const calls: string[] = []
  const ask = (): void => {
    propose(machine, 'k').push = () => calls.push('propose')
    replica.read(() => calls.push('read'))
    replica.readIndex(() => calls.push('readIndex'))
    replica.waitApplied(0, () => calls.push('waitApplied'))
    replica.transfer(1, () => calls.push('transfer'))
    replica.change({ add: [], promote: [], demote: [], remove: [] }, () => calls.push('change'))
  }
  ask()
  t.alike(calls, [], 'while it runs')
  await net.time.run(20)
  t.is(calls.length, 6)
  replica.close()
  calls.length = 0
  ask()
  t.alike(calls, [], 'after its end')
  await net.time.run(20)
  t.is(calls.length, 6, 'each is answered all the same')
})

test('an acknowledgement leaves after its write, the entries of a leader before its own', async (t) => {
  const net = new Replicas([1, 2, 3])
  const leader = await net.elect()
  const follower = present(net.others(leader)[0], 'a follower')
  for (const { happened } of net.machines.values()) happened.length = 0
  propose(leader, 'k')
  await net.time.run(20)
  const order = (machine: Machine): readonly string[] =>
    machine.happened.flatMap((one) => {
      if (one.kind !== 'send') return [one.kind]
      return one.message.kind.startsWith('append') ? [one.message.kind] : []
    })
  t.alike(order(leader).slice(0, 4), ['write', 'append', 'append', 'durable'])
  t.alike(order(follower).slice(0, 3), ['write', 'durable', 'appendAnswer'])
})

test('of two writes in progress each lets go of its own acknowledgement', async (t) => {
  const net = new Replicas([1, 2])
  const leader = await net.elect()
  const follower = present(net.others(leader)[0], 'a follower')
  const matched = (): readonly number[] =>
    follower.sent.flatMap((message) => {
      const isAnswer = message.kind === 'appendAnswer' && message.result.kind === 'matched'
      return isAnswer && message.result.kind === 'matched' ? [message.result.matchIndex] : []
    })
  follower.isWriting = false
  const { lastIndex } = follower.replica.status
  for (const key of ['a', 'b']) {
    propose(leader, key)
    await net.time.run(10)
  }
  follower.happened.length = 0
  follower.letWriteOne()
  t.alike(matched(), [lastIndex + 1])
  follower.letWriteOne()
  t.alike(matched(), [lastIndex + 1, lastIndex + 2])
})

test('a vote leaves only when it is durable', async (t) => {
  const net = new Replicas([1, 2, 3])
  net.start()
  const voters = [...net.machines.values()]
  for (const machine of voters) machine.isWriting = false
  await net.time.run(20_000)
  const kinds = new Set(voters.flatMap(({ sent }) => sent.map((message) => message.kind)))
  t.absent(kinds.has('vote'), 'a candidate waits for its own vote')
  t.absent(kinds.has('voteAnswer'))
  t.ok(kinds.has('preVote'))
  for (const machine of voters) machine.letWrite()
  t.ok(await net.time.runUntil(() => voters.some(leads), 60_000))
})

test('beyond MAX_PENDING_PROPOSALS a proposal is refused as overloaded, and later ones are taken again', async (t) => {
  const { net, machine } = await alone()
  const taken = Array.from({ length: MAX_PENDING_PROPOSALS }, (_, at) => propose(machine, `k${at}`))
  const over = propose(machine, 'over')
  await net.time.run(0)
  t.alike(over, [{ kind: 'refused', reason: 'overloaded' }])
  await net.time.run(100)
  t.is(taken.flat().filter((outcome) => outcome.kind === 'done').length, MAX_PENDING_PROPOSALS)
  t.is(machine.replica.pendingProposalCount, 0)
  const after = propose(machine, 'after')
  await net.time.run(20)
  t.alike(kindsOf(after), ['done'])
})

test('a leader that cannot commit fills up and says so', async (t) => {
  const net = new Replicas([1, 2, 3])
  const leader = await net.elect()
  net.isolate(leader.replica.status.leader ?? 0)
  const taken = Array.from({ length: MAX_PENDING_PROPOSALS }, (_, at) => propose(leader, `k${at}`))
  await net.time.run(100)
  t.alike(taken.flat(), [])
  const over = propose(leader, 'over')
  await net.time.run(1)
  t.alike(over, [{ kind: 'refused', reason: 'overloaded' }])
})

test('a node that does not lead refuses: nothing happened', async (t) => {
  const net = new Replicas([1, 2, 3])
  const leader = await net.elect()
  const follower = present(net.others(leader)[0], 'a follower')
  const { lastIndex } = leader.replica.status
  const outcomes = propose(follower, 'k')
  const reads = read(follower)
  await net.time.run(20)
  t.alike(outcomes, [{ kind: 'refused', reason: 'notLeader' }])
  t.alike(reads, [{ kind: 'refused', reason: 'notLeader' }])
  t.is(leader.replica.status.lastIndex, lastIndex)
})

test('while proposals are paused new ones are refused, and those before are settled', async (t) => {
  const { net, machine } = await alone()
  const before = propose(machine, 'before')
  machine.replica.pauseProposals(true)
  const meanwhile = propose(machine, 'meanwhile')
  await net.time.run(20)
  t.alike(kindsOf(before), ['done'])
  t.alike(meanwhile, [{ kind: 'refused', reason: 'transferring' }])
  machine.replica.pauseProposals(false)
  const after = propose(machine, 'after')
  await net.time.run(20)
  t.alike(kindsOf(after), ['done'])
})

test('what a cut-off leader had is overwritten by the next one, all of it, and only then told', async (t) => {
  const net = new Replicas([1, 2, 3])
  const old = await net.elect()
  net.isolate(old.replica.status.leader ?? 0)
  const lost = ['a', 'b', 'c'].map((key) => propose(old, key))
  const others = net.others(old)
  t.ok(await net.time.runUntil(() => others.some(leads), 60_000))
  await net.time.run(5_000)
  t.not(old.replica.status.role, 'leader', 'it has stepped down')
  t.alike(lost.flat(), [], 'nobody can say yet')
  net.heal()
  await net.time.run(5_000)
  const overwritten = { kind: 'refused', reason: 'overwritten' }
  t.alike(lost.flat(), [overwritten, overwritten, overwritten])
  t.is(old.replica.pendingProposalCount, 0)
})

test('what a cut-off leader had, and the next one kept, is done', async (t) => {
  const net = new Replicas([1, 2, 3])
  const old = await net.elect()
  const id = old.replica.status.leader ?? 0
  // its entries arrive, the answers do not come back
  net.isLost = (_from, to) => to === id
  const outcomes = propose(old, 'k')
  await net.time.run(10)
  net.isolate(id)
  const others = net.others(old)
  t.ok(await net.time.runUntil(() => others.some(leads), 60_000))
  t.alike(outcomes, [])
  net.heal()
  await net.time.run(5_000)
  t.alike(kindsOf(outcomes), ['done'])
})

test('what others have committed is applied when it is durable here', async (t) => {
  const net = new Replicas([1, 2, 3])
  const leader = await net.elect()
  const [quick, slow] = net.others(leader)
  const follower = present(slow, 'a follower')
  const before = follower.replica.appliedIndex
  for (const machine of [leader, follower]) machine.isWriting = false
  const outcomes = propose(leader, 'k')
  await net.time.run(20)
  leader.letWriteOne()
  await net.time.run(20)
  propose(leader, 'the next append says what is committed')
  await net.time.run(300)
  t.is(follower.replica.status.commitIndex, before + 1, 'it knows that a majority holds it')
  t.is(quick?.replica.appliedIndex, before + 1)
  t.is(follower.replica.appliedIndex, before, 'but what a crash leaves of its own log does not')
  t.alike(kindsOf(outcomes), ['done'])
  for (const machine of [leader, follower]) machine.letWrite()
  await net.time.run(300)
  t.is(follower.replica.appliedIndex, before + 2)
})

test('a read is ready only when its index is applied; one for another node when it is confirmed', async (t) => {
  const { net, machine } = await alone()
  machine.isApplying = false
  const written = propose(machine, 'k')
  await net.time.run(20)
  const { commitIndex } = machine.replica.status
  const local = read(machine)
  const remote: ReadOutcome[] = []
  machine.replica.readIndex((outcome) => remote.push(outcome))
  const waiting: ReadOutcome[] = []
  machine.replica.waitApplied(commitIndex, (outcome) => waiting.push(outcome))
  const givenUp: ReadOutcome[] = []
  machine.replica.waitApplied(commitIndex, (outcome) => givenUp.push(outcome))()
  await net.time.run(20)
  t.alike(local, [])
  t.alike(waiting, [])
  t.alike(remote, [{ kind: 'ready', index: commitIndex }])
  machine.letApply()
  await net.time.run(20)
  t.alike(local, [{ kind: 'ready', index: commitIndex }])
  t.alike(waiting, local)
  t.alike(givenUp, [])
  t.alike(kindsOf(written), ['done'])
})

test('reads that wait are bounded while nothing is applied', async (t) => {
  const { net, machine } = await alone()
  machine.isApplying = false
  propose(machine, 'k')
  await net.time.run(20)
  const waiting = Array.from({ length: MAX_PENDING_READS }, () => read(machine))
  const over = read(machine)
  await net.time.run(20)
  t.alike(over, [{ kind: 'refused', reason: 'overloaded' }])
  t.is(waiting.flat().length, 0)
  machine.letApply()
  await net.time.run(20)
  t.is(waiting.flat().filter(({ kind }) => kind === 'ready').length, MAX_PENDING_READS)
})

test('a follower that loses its leader for good asks for votes early, for another member never', async (t) => {
  const net = new Replicas([1, 2, 3])
  const leader = await net.elect()
  const leaderId = present(leader.replica.status.leader, 'the leader')
  const [one, two] = net.others(leader)
  const follower = present(one, 'a follower')
  const other = present([...net.machines].find(([, machine]) => machine === two)?.[0], 'its id')
  follower.replica.onLinkLost(other)
  t.is(follower.replica.status.leader, leaderId)
  follower.replica.onLinkLost(leaderId)
  t.is(follower.replica.status.leader, null)
})
