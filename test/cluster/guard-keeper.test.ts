// What is remembered reaches the disk: soon, once for many changes, and before the node closes.

import test from 'brittle'
import type { Memory } from '../../lib/cluster/amnesia-guard.ts'
import { GuardKeeper } from '../../lib/cluster/guard-keeper.ts'
import type { Memories } from '../../lib/cluster/guard-keeper.ts'
import { hexOf } from '../../lib/encoding.ts'
import { GUARD_SAVE_MS } from '../../lib/limits.ts'
import type { FollowerStatus, Status } from '../../lib/raft/effects.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import type { OwnHello } from '../../lib/transport/transport.ts'
import { configurationOf, keyOf, statusOf } from './fixtures.ts'

const SAVE_TAKES_MS = 10
const CONFIGURATION = configurationOf({ 1: 'voter', 2: 'voter', 3: 'learner' })

function helloOf(id: number, fields: Partial<OwnHello> = {}): OwnHello {
  return {
    id,
    boot: 1,
    instance: new Uint8Array(16).fill(id),
    storageEpoch: new Uint8Array(16).fill(7),
    featureLevel: 1,
    version: '1.0.0',
    epoch: 1,
    durableTerm: 2,
    lastIndex: 10,
    ...fields
  }
}

function leading(matched: Readonly<Record<number, number>>): Status {
  const progress = new Map<number, FollowerStatus>()
  for (const [id, matchIndex] of Object.entries(matched)) {
    const idle = { inflightCount: 0, inflightBytes: 0, heardMs: 0 }
    progress.set(Number(id), { matchIndex, state: 'replicate', ...idle })
  }
  return statusOf(CONFIGURATION, { progress })
}

function open(found: Memories = new Map()) {
  const time = new VirtualTime()
  const saved: Memories[] = []
  const world = { status: leading({}), linked: [] as number[], takesFiles: true }
  const keeper = new GuardKeeper({
    timers: time,
    status: () => world.status,
    links: () => world.linked.map((id) => ({ publicKey: keyOf(id) })),
    store: {
      found,
      save: (memories, onEnd) => {
        saved.push(memories)
        time.start(SAVE_TAKES_MS, () => onEnd(world.takesFiles))
      }
    }
  })
  const memoryOf = (id: number): Memory | undefined => saved.at(-1)?.get(hexOf(keyOf(id)))
  return { time, saved, world, keeper, memoryOf }
}

test('many changes are one save, and none without a change', async (t) => {
  const { time, saved, world, keeper, memoryOf } = open()
  keeper.onVerified(keyOf(2), helloOf(2))
  for (let index = 11; index <= 60; index++) {
    world.status = leading({ 2: index })
    keeper.collect()
  }
  t.is(saved.length, 0)
  await time.run(GUARD_SAVE_MS + SAVE_TAKES_MS)
  t.is(saved.length, 1)
  t.alike([memoryOf(2)?.term, memoryOf(2)?.index, memoryOf(2)?.boot], [4, 60, 1])
  keeper.collect()
  await time.run(3 * GUARD_SAVE_MS)
  t.is(saved.length, 1)
  t.is(time.pendingCount, 0, 'no timer stays')
})

test('what changes during a save is in the next one', async (t) => {
  const { time, saved, world, keeper, memoryOf } = open()
  keeper.onVerified(keyOf(2), helloOf(2))
  await time.run(GUARD_SAVE_MS + 1)
  world.status = leading({ 2: 99 })
  keeper.collect()
  t.is(memoryOf(2)?.index, 0)
  await time.run(GUARD_SAVE_MS + 2 * SAVE_TAKES_MS)
  t.is(saved.length, 2)
  t.is(memoryOf(2)?.index, 99)
})

test('what could not be saved is tried again until it is, and keeps no node from closing', async (t) => {
  const { time, saved, world, keeper } = open()
  world.takesFiles = false
  keeper.onVerified(keyOf(2), helloOf(2))
  await time.run(3 * (GUARD_SAVE_MS + SAVE_TAKES_MS) + 1)
  t.is(saved.length, 3)
  world.takesFiles = true
  await time.run(10 * GUARD_SAVE_MS)
  t.is(saved.length, 4)
  world.takesFiles = false
  keeper.onVerified(keyOf(3), helloOf(3))
  await time.settled(keeper.close(), 1_000)
  t.is(saved.length, 5)
  t.is(time.pendingCount, 0)
})

test('a node that closes saves first, also while a save is under way', async (t) => {
  for (const waitMs of [0, GUARD_SAVE_MS + 1]) {
    const { time, world, keeper, memoryOf } = open()
    keeper.onVerified(keyOf(2), helloOf(2))
    await time.run(waitMs)
    world.status = leading({ 2: 42 })
    keeper.collect()
    await time.settled(keeper.close(), 1_000)
    t.is(memoryOf(2)?.index, 42, `after ${waitMs} ms`)
    await time.settled(keeper.close(), 1_000)
    await time.run(5_000)
    t.is(time.pendingCount, 0)
  }
})

test('a verdict knows what was acknowledged a moment ago, and what an earlier life saved', async (t) => {
  const first = open()
  first.keeper.onVerified(keyOf(2), helloOf(2))
  first.world.status = leading({ 2: 50 })
  const again = helloOf(2, { boot: 2, instance: new Uint8Array(16).fill(99), durableTerm: 4 })
  const claims = [49, 50].map((lastIndex) => ({ ...again, lastIndex }))
  const verdicts = ({ keeper }: Pick<typeof first, 'keeper'>) =>
    claims.map((hello) => keeper.refusalOf(keyOf(2), hello)?.code ?? null)
  t.alike(verdicts(first), ['DATA_LOST', null], 'without a call of collect')
  await first.time.settled(first.keeper.close(), 1_000)
  const second = open(first.saved.at(-1))
  second.world.status = statusOf(CONFIGURATION, { role: 'follower' })
  t.alike(verdicts(second), ['DATA_LOST', null])
})

test('a voter is known by the configuration, a live process by its link', (t) => {
  const { world, keeper } = open()
  for (const id of [2, 3]) keeper.onVerified(keyOf(id), helloOf(id, { durableTerm: 0 }))
  const empty = { instance: new Uint8Array(16).fill(99), storageEpoch: new Uint8Array(16) }
  const begun = (id: number) => helloOf(id, { ...empty, durableTerm: 0, lastIndex: 0 })
  t.is(keeper.refusalOf(keyOf(2), begun(2))?.code, 'DATA_LOST')
  t.is(keeper.refusalOf(keyOf(3), begun(3)), null, 'a learner that never had anything')
  world.linked = [2]
  const copy = helloOf(2, { instance: new Uint8Array(16).fill(98) })
  t.is(keeper.refusalOf(keyOf(2), copy)?.code, 'FENCED')
  world.linked = [3]
  t.is(keeper.refusalOf(keyOf(2), copy)?.code, 'DATA_LOST')
})
