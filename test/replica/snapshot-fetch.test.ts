// A snapshot on its way, on virtual time: sources that lie, die, or have nothing; fetches that are
// interrupted and go on.

import test from 'brittle'
import { encode } from '../../lib/encoding.ts'
import { MAX_MANIFEST_PAGE } from '../../lib/limits.ts'
import { SeededRandom } from '../../lib/random.ts'
import type { SnapshotAnswer } from '../../lib/replica/encoding.ts'
import { snapshotAnswer } from '../../lib/replica/encoding.ts'
import type { Stored } from './snapshots.ts'
import { cluster, isWhole, largeAt, need, run, snapshotAt } from './snapshots.ts'

const SEED = Number(process.env['ASPEN_SEED'] ?? Date.now() % 1_000_000)

void test('STO-19: a source that dies is done without, and one that comes back is asked again', async (t) => {
  for (const victim of ['leader', 'other'] as const) {
    const made = cluster(400)
    const { post, receiver, snapshot } = made
    need(made.leader, receiver)
    await post.time.run(60)
    t.ok(receiver.chunksAskedOf(made[victim]).length > 0)
    post.stop(made[victim])
    await post.time.run(5_000)
    t.ok(isWhole(receiver.prepared[0], snapshot), victim)
  }
})

void test('STO-19: without any source a fetch waits, and goes on where it was', async (t) => {
  const made = cluster(1_000)
  const { post, leader, other, receiver, snapshot } = made
  need(leader, receiver)
  await post.time.run(100)
  post.cutOff(3)
  const { missingCount } = receiver.transfer.progress ?? { missingCount: 0 }
  t.ok(missingCount > 0 && missingCount < 1_000, `${missingCount} chunks are missing`)
  await post.time.run(60_000)
  t.is(receiver.transfer.progress?.missingCount, missingCount)
  const askedCount = receiver.chunksAskedOf(leader).length + receiver.chunksAskedOf(other).length
  post.cuts.clear()
  await post.time.run(10_000)
  t.ok(isWhole(receiver.prepared[0], snapshot))
  const asked = receiver.chunksAskedOf(leader).length + receiver.chunksAskedOf(other).length
  t.is(asked - askedCount, missingCount, 'only what was missing')
})

void test('STO-19: a receiver that starts again asks for the missing half', async (t) => {
  const { post, leader, other, receiver, snapshot } = cluster(1_000)
  need(leader, receiver)
  while ((receiver.transfer.progress?.missingCount ?? 1_000) > 500) await post.time.run(5)
  post.stop(receiver)
  await post.time.run(5_000)
  t.is(receiver.prepared.length, 0)
  const again = post.start(3, receiver.disk)
  leader.heard.length = 0
  other.heard.length = 0
  need(leader, again)
  await post.time.run(5_000)
  t.ok(isWhole(again.prepared[0], snapshot))
  const asked = again.chunksAskedOf(leader).length + again.chunksAskedOf(other).length
  t.ok(asked <= 500 && asked > 400, `${asked} chunks`)
})

void test('a fetch that was whole when the receiver ended asks for the hashes only', async (t) => {
  const { post, leader, receiver, snapshot } = cluster(50)
  receiver.disk.incoming = { info: snapshot.info, chunks: [...snapshot.chunks] }
  need(leader, receiver)
  await post.time.run(1_000)
  t.ok(isWhole(receiver.prepared[0], snapshot))
  t.alike(receiver.chunksAskedOf(leader), [])
})

void test('a fetch ends when entries came after all', async (t) => {
  const { post, leader, receiver } = cluster(1_000)
  post.delayMs = () => 50
  need(leader, receiver)
  await post.time.run(300)
  t.ok(receiver.transfer.progress !== null && receiver.disk.incoming !== null)
  receiver.status = { ...receiver.status, commitIndex: 100 }
  await post.time.run(1_500)
  t.is(receiver.transfer.progress, null)
  t.ok(receiver.disk.incoming === null)
  const askedCount = leader.heard.length
  await post.time.run(10_000)
  t.is(leader.heard.length, askedCount)
})

void test('who says that it is not here is left alone, and asked again later', async (t) => {
  const { post, leader, other, receiver, snapshot } = cluster(300)
  other.disk.stored = []
  post.delayMs = () => 100
  need(leader, receiver)
  await post.time.run(4_000)
  t.ok(receiver.chunksAskedOf(other).length <= 2)
  other.disk.stored = [snapshot]
  await post.time.run(10_000)
  t.ok(receiver.chunksAskedOf(other).length > 2)
  t.ok(isWhole(receiver.prepared[0], snapshot))
})

void test('STO-18: who sends what is wrong is left alone after three times', async (t) => {
  const wrong: Readonly<Record<string, (good: SnapshotAnswer, snapshot: Stored) => Uint8Array>> = {
    corrupted: (good) => encode(snapshotAnswer, flipped(good)),
    truncated: (good) => encode(snapshotAnswer, shortened(good)),
    'cut off': (good) => encode(snapshotAnswer, good).subarray(0, -1),
    'of another place': (_, { chunks }) => encode(snapshotAnswer, chunkOf(chunks[39] ?? EMPTY)),
    empty: () => encode(snapshotAnswer, chunkOf(EMPTY)),
    noise: () => new Uint8Array([9, 9, 9]),
    'another answer': () => encode(snapshotAnswer, { kind: 'noted' }),
    'too long': () => new Uint8Array([1, 20, 0xfd, 0xff, 0xff, ...new Uint8Array(0xffff)])
  }
  for (const [name, make] of Object.entries(wrong)) {
    const { post, leader, other, receiver, snapshot } = cluster()
    post.change = (from, answer) =>
      from === 2 && (answer.kind === 'chunk' || answer.kind === 'manifest')
        ? make(answer, snapshot)
        : encode(snapshotAnswer, answer)
    need(leader, receiver)
    await post.time.run(5_000)
    t.ok(isWhole(receiver.prepared[0], snapshot), name)
    t.ok(other.heard.length >= 3 && other.heard.length <= 4, `${other.heard.length} times`)
  }
})

void test('STO-18: answers that come late, twice or never change nothing in the end', async (t) => {
  t.comment(`ASPEN_SEED=${SEED}`)
  const random = new SeededRandom(SEED)
  const below = (limit: number): number => random.uint32() % limit
  for (let round = 0; round < 20; round++) {
    const made = cluster(30 + below(60))
    const { post, receiver, snapshot } = made
    const before: Uint8Array[] = []
    post.delayMs = () => (below(20) === 0 ? below(90_000) : below(300))
    post.change = (_from, answer) => {
      const bytes = encode(snapshotAnswer, answer)
      const old = before[below(Math.max(1, before.length))] ?? bytes
      before.push(bytes)
      const chance = below(20)
      if (chance === 0) return null
      if (chance === 1) return 'lost'
      if (chance === 2) return old
      if (chance === 3) return encode(snapshotAnswer, flipped(answer))
      return bytes
    }
    for (let at = 0; at < 1_200_000 && receiver.prepared.length === 0; at += 1_500) {
      await run(made, 1_500)
    }
    t.ok(isWhole(receiver.prepared[0], snapshot))
    t.ok(post.mostUnderWay <= 64)
  }
})

void test('an answer that comes when nobody waited for it any more is used all the same', async (t) => {
  const { post, leader, other, receiver, snapshot } = cluster(3)
  post.stop(other)
  post.delayMs = () => 20_000
  need(leader, receiver)
  await post.time.run(20 * 60_000)
  t.ok(isWhole(receiver.prepared[0], snapshot))
})

void test('a snapshot that cannot be prepared is fetched again only after a while', async (t) => {
  const made = cluster(5)
  const { leader, receiver, snapshot } = made
  receiver.snapshots.canPrepare = false
  await run(made, 30_000)
  t.ok(receiver.disk.incoming === null)
  const manifests = leader.heard.filter(({ request }) => request.kind === 'manifest')
  t.ok(manifests.length <= 1, 'asked for once, of whoever')
  receiver.snapshots.canPrepare = true
  await run(made, 60_000)
  t.ok(isWhole(receiver.prepared[0], snapshot))
})

void test('hashes that are those of another snapshot, or not as many, are refused', async (t) => {
  const { manifest } = snapshotAt(100, 10, 7)
  const lies: Readonly<Record<string, Uint8Array>> = {
    'of another': manifest,
    'too few': manifest.subarray(32),
    'too many': new Uint8Array([...manifest, ...manifest]),
    'cut off': manifest.subarray(1),
    none: EMPTY
  }
  for (const [name, bytes] of Object.entries(lies)) {
    const { post, leader, receiver, snapshot } = cluster(10)
    let lieCount = 0
    post.change = (from, answer) => {
      if (answer.kind !== 'manifest' || from !== 2) return encode(snapshotAnswer, answer)
      lieCount++
      return encode(snapshotAnswer, { kind: 'manifest', bytes })
    }
    post.cuts.add(1)
    const offer = { kind: 'offer', term: 5, snapshot: snapshot.info } as const
    receiver.transfer.onRequest(1, offer, () => {})
    await post.time.run(3_000)
    t.is(lieCount, 3, name)
    post.cuts.clear()
    await post.time.run(3_000)
    t.ok(isWhole(receiver.prepared[0], snapshot))
    t.ok(leader.heard.length > 0)
  }
})

void test('the hashes of a large snapshot come in pages, all of them from one member', async (t) => {
  const { post, leader, other, receiver } = cluster(1)
  const chunkCount = 3 * MAX_MANIFEST_PAGE - 5
  const large = largeAt(200, chunkCount)
  for (const member of [leader, other]) member.disk.stored.push(large)
  receiver.disk.incoming = { info: large.info, chunks: [...large.chunks] }
  receiver.disk.incoming.chunks[chunkCount - 2] = null
  // the first one lies in its first page and is gone before its second
  let pageCount = 0
  post.change = (from, answer) => {
    if (from !== 1 || answer.kind !== 'manifest') return encode(snapshotAnswer, answer)
    pageCount++
    if (pageCount > 1) post.stop(leader)
    return encode(snapshotAnswer, flipped(answer))
  }
  post.delayMs = () => 0
  const offer = { kind: 'offer', term: 5, snapshot: large.info } as const
  receiver.transfer.onRequest(1, offer, () => {})
  await post.time.run(10_000)
  t.is(receiver.prepared[0]?.info.index, 200)
  const froms = other.heard.flatMap(({ request }) =>
    request.kind === 'manifest' ? [request.from] : []
  )
  t.is(pageCount, 2)
  t.alike(froms, [0, MAX_MANIFEST_PAGE, 2 * MAX_MANIFEST_PAGE])
  t.alike(receiver.chunksAskedOf(other), [chunkCount - 2])
})

void test('chunks that were damaged here are fetched again', async (t) => {
  const { post, leader, other, receiver, snapshot } = cluster(20)
  receiver.snapshots.rotten = [3, 17]
  need(leader, receiver)
  await post.time.run(3_000)
  t.ok(isWhole(receiver.prepared[0], snapshot))
  const asked = [...receiver.chunksAskedOf(leader), ...receiver.chunksAskedOf(other)]
  t.is(asked.length, 22)
  t.alike(asked.filter((at) => at === 3 || at === 17).length, 4)
})

const EMPTY = new Uint8Array(0)

function chunkOf(bytes: Uint8Array): SnapshotAnswer {
  return { kind: 'chunk', bytes }
}

function flipped(answer: SnapshotAnswer): SnapshotAnswer {
  if (answer.kind !== 'chunk' && answer.kind !== 'manifest') return answer
  const bytes = answer.bytes.slice()
  bytes[bytes.byteLength >> 1] = (bytes[bytes.byteLength >> 1] ?? 0) ^ 1
  return { kind: answer.kind, bytes }
}

function shortened(answer: SnapshotAnswer): SnapshotAnswer {
  if (answer.kind !== 'chunk' && answer.kind !== 'manifest') return answer
  return { kind: answer.kind, bytes: answer.bytes.subarray(0, -1) }
}
