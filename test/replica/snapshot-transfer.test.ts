// Who offers which snapshot to whom, who is heard, and who is served; on virtual time.

import test from 'brittle'
import { MAX_FETCHING_CHUNKS, MAX_SNAPSHOT_READS } from '../../lib/limits.ts'
import type { SnapshotAnswer } from '../../lib/replica/encoding.ts'
import type { SnapshotInfo } from '../../lib/state-machine/state-machine.ts'
import { cluster, isWhole, need, run, snapshotAt } from './snapshots.ts'

void test('a follower fetches what its leader offers, from all that have it', async (t) => {
  const made = cluster(400)
  const { leader, other, receiver, snapshot, post } = made
  const more = [post.start(4), post.start(5)]
  for (const member of more) member.disk.stored.push(snapshot)
  await run(made, 3_000)
  t.is(receiver.prepared.length, 1)
  t.ok(isWhole(receiver.prepared[0], snapshot))
  const counts = [leader, other, ...more].map((each) => receiver.chunksAskedOf(each).length)
  t.is(
    counts.reduce((sum, count) => sum + count),
    400,
    'each chunk was asked for once'
  )
  t.ok(
    counts.every((count) => count > 50),
    counts.join()
  )
  t.ok(post.mostUnderWay <= MAX_FETCHING_CHUNKS && post.mostUnderWay > 8, `${post.mostUnderWay}`)
  t.is(receiver.transfer.progress, null)
})

void test('an offer is made once a second and follower, of the newest snapshot', async (t) => {
  const { post, leader, receiver } = cluster()
  const newer = snapshotAt(200, 3)
  leader.disk.stored.push(newer)
  receiver.status = { ...receiver.status, leader: null }
  for (let at = 0; at < 3_000; at += 100) {
    leader.transfer.onSnapshotsNeeded([2, 3])
    await post.time.run(100)
  }
  const offers = receiver.heard.flatMap(({ request }) =>
    request.kind === 'offer' ? [request] : []
  )
  t.alike(
    offers.map(({ term, snapshot }) => [term, snapshot.index]),
    [
      [5, 200],
      [5, 200],
      [5, 200]
    ]
  )
})

void test('a leader without a snapshot that helps says so, and offers nothing', async (t) => {
  const { post, leader, receiver } = cluster()
  leader.logBase = 101
  need(leader, receiver)
  t.is(leader.noneHereCount, 1, 'one that ends before the log begins does not help')
  leader.disk.stored = []
  leader.logBase = 0
  need(leader, receiver)
  t.is(leader.noneHereCount, 2)
  await post.time.run(1_000)
  t.alike(receiver.heard, [])
  leader.transfer.onSnapshotsNeeded([])
  t.is(leader.noneHereCount, 2)
})

void test('what was offered is offered again while it can be followed on, also if there is a newer one', async (t) => {
  const made = cluster(2_000)
  const { leader, other, receiver, snapshot } = made
  made.post.delayMs = () => 100
  await run(made, 2_000)
  const newer = snapshotAt(200, 3)
  for (const member of [leader, other]) member.disk.stored.push(newer)
  await run(made, 2_000)
  t.is(receiver.transfer.progress?.index, 100)
  t.ok((receiver.transfer.progress?.missingCount ?? 0) < 2_000)
  leader.logBase = 101
  await run(made, 3_000)
  t.ok(isWhole(receiver.prepared[0], newer), 'the log has moved on')
  t.absent(receiver.prepared.some((each) => isWhole(each, snapshot)))
})

void test('a newer offer ends a fetch, an older one does not, unless nobody has the newer one', async (t) => {
  const { post, leader, other, receiver } = cluster()
  const [oldest, newest] = [snapshotAt(90, 500), snapshotAt(300, 500)]
  const offer = (snapshot: SnapshotInfo): void =>
    receiver.transfer.onRequest(1, { kind: 'offer', term: 5, snapshot }, () => {})
  leader.disk.stored.push(oldest, newest)
  offer(oldest.info)
  await post.time.run(100)
  t.is(receiver.transfer.progress?.index, 90)
  offer(newest.info)
  await post.time.run(100)
  t.is(receiver.transfer.progress?.index, 300)
  t.is(receiver.disk.incoming?.info.index, 300, 'nothing is left of the older one')
  offer(oldest.info)
  await post.time.run(100)
  t.is(receiver.transfer.progress?.index, 300)
  leader.disk.stored = [oldest]
  other.disk.stored = []
  await post.time.run(3_000)
  t.is(receiver.transfer.progress?.index, 300)
  offer(oldest.info)
  await post.time.run(3_000)
  t.ok(isWhole(receiver.prepared[0], oldest))
})

void test('after a while without need the newest is offered', async (t) => {
  const { post, leader, receiver } = cluster()
  receiver.status = { ...receiver.status, leader: null }
  need(leader, receiver)
  await post.time.run(5_000)
  leader.disk.stored.push(snapshotAt(200, 3))
  need(leader, receiver)
  await post.time.run(11_000)
  need(leader, receiver)
  await post.time.run(100)
  const offered = receiver.heard.flatMap(({ request }) =>
    request.kind === 'offer' ? [request.snapshot.index] : []
  )
  t.alike(offered, [100, 100, 200])
})

void test('a snapshot that is being prepared is not given up for a newer one', async (t) => {
  const { post, leader, receiver, snapshot } = cluster(5)
  receiver.snapshots.prepareMs = 20_000
  need(leader, receiver)
  await post.time.run(1_000)
  t.is(receiver.transfer.progress?.missingCount, 0)
  const newer = snapshotAt(200, 3)
  leader.disk.stored.push(newer)
  const offer = { kind: 'offer', term: 5, snapshot: newer.info } as const
  receiver.transfer.onRequest(1, offer, () => {})
  receiver.status = { ...receiver.status, commitIndex: 150 }
  await post.time.run(25_000)
  t.is(receiver.prepared.length, 1)
  t.ok(isWhole(receiver.prepared[0], snapshot), 'the owner decides whether it is still of use')
})

void test('an older offer does not end a fetch that is only interrupted', async (t) => {
  const { post, leader, receiver } = cluster()
  const [older, newer] = [snapshotAt(90, 500), snapshotAt(300, 500)]
  const offer = (snapshot: SnapshotInfo): void =>
    receiver.transfer.onRequest(1, { kind: 'offer', term: 5, snapshot }, () => {})
  leader.disk.stored.push(older, newer)
  offer(newer.info)
  await post.time.run(100)
  post.change = () => 'lost'
  await post.time.run(500)
  offer(older.info)
  await post.time.run(100)
  t.is(receiver.transfer.progress?.index, 300)
})

void test('only the leader that a node follows, in its term, is heard', async (t) => {
  const { post, leader, receiver, snapshot } = cluster()
  const status = receiver.status
  const offer = async (from: number, term: number): Promise<void> => {
    const request = { kind: 'offer', term, snapshot: snapshot.info } as const
    receiver.transfer.onRequest(from, request, () => {})
    await post.time.run(50)
  }
  await offer(2, 5)
  await offer(1, 4)
  await offer(1, 6)
  receiver.status = { ...status, role: 'leader', leader: 3 }
  await offer(3, 5)
  receiver.status = { ...status, role: 'preCandidate', leader: null }
  await offer(1, 5)
  receiver.status = { ...status, commitIndex: 100 }
  await offer(1, 5)
  t.is(receiver.transfer.progress, null)
  t.alike(leader.heard, [])
  receiver.status = { ...status, commitIndex: 99 }
  await offer(1, 5)
  t.is(receiver.transfer.progress?.index, 100)
})

void test('a prepared snapshot is handed over once, and another is fetched when it is settled', async (t) => {
  const made = cluster(4)
  const { post, leader, receiver } = made
  await run(made, 1_000)
  t.is(receiver.prepared.length, 1)
  const newer = snapshotAt(200, 3)
  leader.disk.stored.push(newer)
  await post.time.run(15_000)
  need(leader, receiver)
  await post.time.run(2_000)
  t.is(receiver.prepared.length, 1)
  receiver.transfer.onSettled()
  need(leader, receiver)
  await post.time.run(2_000)
  t.is(receiver.prepared.length, 2)
})

void test('a new leader that offers the same snapshot changes nothing', async (t) => {
  const { post, leader, other, receiver, snapshot } = cluster(1_000)
  need(leader, receiver)
  await post.time.run(100)
  leader.status = { ...leader.status, role: 'follower', term: 6, leader: 2 }
  other.status = { role: 'leader', term: 6, leader: 2, commitIndex: 100 }
  receiver.status = { ...receiver.status, leader: null, term: 6 }
  await post.time.run(100)
  receiver.status = { ...receiver.status, leader: 2 }
  need(other, receiver)
  await post.time.run(5_000)
  t.ok(isWhole(receiver.prepared[0], snapshot))
  const asked = [...receiver.chunksAskedOf(leader), ...receiver.chunksAskedOf(other)]
  t.is(asked.length, 1_000)
})

void test('a snapshot that is gone, or has no such chunk, is not here', async (t) => {
  const { post, leader, snapshot } = cluster(10)
  const answers: SnapshotAnswer[] = []
  const { index, contentHash } = snapshot.info
  const ask = (fields: { index?: number; contentHash?: Uint8Array; position: number }): void => {
    const request = { kind: 'chunk', index, contentHash, ...fields } as const
    leader.transfer.onRequest(3, request, (answer) => answers.push(answer))
  }
  ask({ position: 10 })
  ask({ position: 0, index: 99 })
  ask({ position: 0, contentHash: new Uint8Array(32) })
  await post.time.run(10)
  ask({ position: 0 })
  leader.disk.stored = []
  await post.time.run(10)
  t.alike(
    answers.map(({ kind }) => kind),
    ['notHere', 'notHere', 'notHere', 'notHere']
  )
})

void test('reads for others have a bound', async (t) => {
  const { post, leader, snapshot } = cluster(10)
  const answers: SnapshotAnswer[] = []
  const { index, contentHash } = snapshot.info
  const ask = (): void => {
    const request = { kind: 'chunk', index, contentHash, position: 0 } as const
    leader.transfer.onRequest(3, request, (answer) => answers.push(answer))
  }
  for (let count = 0; count <= MAX_SNAPSHOT_READS; count++) ask()
  t.alike(answers, [{ kind: 'busy' }])
  await post.time.run(10)
  t.is(answers.filter(({ kind }) => kind === 'chunk').length, MAX_SNAPSHOT_READS)
  ask()
  await post.time.run(10)
  t.is(answers.at(-1)?.kind, 'chunk')
  ask()
  leader.transfer.close()
  ask()
  await post.time.run(10)
  t.is(answers.length, MAX_SNAPSHOT_READS + 2, 'after its end a node is silent')
})

void test('the end of a node ends its fetch, and is no news twice', async (t) => {
  const { post, leader, receiver } = cluster(1_000)
  need(leader, receiver)
  await post.time.run(100)
  receiver.transfer.close()
  receiver.transfer.close()
  const askedCount = leader.heard.length
  need(leader, receiver)
  receiver.transfer.onSnapshotsNeeded([1])
  await post.time.run(10_000)
  t.ok(leader.heard.length <= askedCount + MAX_FETCHING_CHUNKS)
  t.is(receiver.transfer.progress, null)
  t.alike(receiver.prepared, [])
  t.ok(receiver.disk.incoming !== null, 'what came stays')
})
