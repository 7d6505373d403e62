// What a member answers to one whose log is damaged.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { hash } from '../../lib/crypto.ts'
import { bytesOf, decode, encode } from '../../lib/encoding.ts'
import type { Entry, Index } from '../../lib/raft/entry.ts'
import type { SnapshotAnswer, SnapshotRequest } from '../../lib/replica/encoding.ts'
import { snapshotAnswer, snapshotRequest } from '../../lib/replica/encoding.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import { logOf, Member, TableLog } from './damaged-logs.ts'

/** What a member answers to one question. */
async function answerOf(member: Member, request: SnapshotRequest): Promise<SnapshotAnswer | null> {
  const time = new VirtualTime()
  const answers: SnapshotAnswer[] = []
  member
    .desk(time)
    .onRequest(1, encode(snapshotRequest, request), (answer) =>
      answers.push(decode(snapshotAnswer, answer))
    )
  await time.run(1_000)
  return answers[0] ?? null
}

void test('the verdict of a leader, case by case', async (t) => {
  const own = logOf([1, 1, 2, 2], 'own')
  const others = logOf([1, 1, 2, 2], 'another')
  const wanted = present(own[3], 'the entry in question')
  const ask = (member: Member): Promise<SnapshotAnswer | null> =>
    answerOf(member, { kind: 'verdict', index: 4, hash: wanted.hash })
  const leaderOf = (entries: readonly Entry[]): Member => {
    const member = new Member(entries)
    member.role = 'leader'
    return member
  }
  t.alike(
    await ask(leaderOf(others)),
    { kind: 'neverCommitted', term: 5 },
    'another entry is there'
  )
  t.alike(
    await ask(leaderOf(own.slice(0, 3))),
    { kind: 'neverCommitted', term: 5 },
    'the log ends before it'
  )
  t.alike(await ask(leaderOf(own)), { kind: 'notHere' }, 'it is there')

  const follower = leaderOf(others)
  follower.role = 'follower'
  t.alike(await ask(follower), { kind: 'notHere' }, 'a follower knows nothing')
  const unconfirmed = leaderOf(others)
  unconfirmed.isConfirmed = false
  t.alike(await ask(unconfirmed), { kind: 'notHere' }, 'it may have been deposed')
  const compacted = leaderOf(logOf([1, 1, 2, 2, 3, 3]))
  compacted.log.compact(5)
  t.alike(await ask(compacted), { kind: 'notHere' }, 'it does not know any more')
  const base = leaderOf(own)
  base.log.compact(4)
  t.alike(await ask(base), { kind: 'notHere' }, 'it is the last one that a snapshot stands for')
  const otherBase = leaderOf(others)
  otherBase.log.compact(4)
  t.alike(await ask(otherBase), { kind: 'neverCommitted', term: 5 }, 'another one is')
  const ahead = leaderOf(own.slice(0, 3))
  ahead.core = new TableLog(own)
  t.alike(await ask(ahead), { kind: 'notHere' }, 'it is there, only not durable yet')
})

void test('a member gives the very entry or nothing', async (t) => {
  const own = logOf([1, 1, 2])
  const member = new Member(own)
  const wanted = present(own[1], 'the entry')
  const { index, term, kind, timeMs, payload } = wanted
  const ask = (fields: { index?: Index; hash?: Uint8Array }): Promise<SnapshotAnswer | null> =>
    answerOf(member, { kind: 'entry', index, hash: wanted.hash, ...fields })
  const entry = { previousHash: present(own[0], 'the first').hash, term, kind, timeMs, payload }
  t.alike(await ask({}), { kind: 'entry', entry })
  t.alike(await ask({ hash: hash(bytesOf('x')) }), { kind: 'notHere' })
  t.alike(await ask({ index: 3 }), { kind: 'notHere' })
  t.alike(await ask({ index: 9 }), { kind: 'notHere' })
  member.log.compact(1)
  t.alike(await ask({}), { kind: 'entry', entry }, 'its predecessor is known as the base')
  member.log.compact(2)
  t.alike(await ask({}), { kind: 'notHere' }, 'of the base only the hash is left')
  member.log.compact(3)
  t.alike(await ask({}), { kind: 'notHere' })
})

void test('a member that finds its own record damaged ends', async (t) => {
  const own = logOf([1, 1, 2])
  const member = new Member(own)
  member.log.damaged.add(2)
  const request = { kind: 'entry', index: 2, hash: present(own[1], 'it').hash } as const
  t.is(await answerOf(member, request), null)
  t.is(member.failures.length, 1)
})

void test('bytes that no member sends are answered as if nothing were here', (t) => {
  const answers: Uint8Array[] = []
  const desk = new Member([]).desk(new VirtualTime())
  for (const bytes of [[], [1], [1, 99], [2, 1], [1, 4, 0]]) {
    desk.onRequest(1, new Uint8Array(bytes), (answer) => answers.push(answer))
  }
  t.is(answers.length, 5)
  for (const answer of answers) t.alike(decode(snapshotAnswer, answer), { kind: 'notHere' })
})
