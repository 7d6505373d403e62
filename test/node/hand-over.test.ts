// How a leader goes: nothing is in doubt afterwards, and it does not go where nobody takes over.

import test from 'brittle'
import { bytesOf } from '../../lib/encoding.ts'
import { AspenError } from '../../lib/errors.ts'
import { handOver } from '../../lib/node/hand-over.ts'
import type { HandOverParts } from '../../lib/node/hand-over.ts'
import type { NodeId } from '../../lib/node-id.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'
import type { Process } from '../../lib/testing/machine.ts'
import type { LinkStatus } from '../../lib/transport/transport.ts'

const LONG_MS = 60_000
const DELAY_MS = 20
/** What the links say, truly. */
const RTT_MS = 2 * DELAY_MS

interface Scene {
  readonly cluster: MemoryCluster
  readonly leader: Process
  readonly others: readonly Process[]
}

async function threeVoters(seed: number): Promise<Scene> {
  const cluster = new MemoryCluster({ seed, delayMs: DELAY_MS })
  const { time } = cluster
  await cluster.form(['a', 'b', 'c'])
  await time.run(1_000)
  const leader = cluster.leader()
  if (leader === null) throw new Error('somebody leads')
  return { cluster, leader, others: cluster.nodes().filter((node) => node !== leader) }
}

function idOf(node: Process): NodeId {
  return node.assembly.service.status().node.id
}

function linkTo(id: NodeId): LinkStatus {
  return {
    id,
    publicKey: new Uint8Array(32),
    sinceMs: 0,
    rttMs: RTT_MS,
    path: 'direct',
    remoteAddress: null,
    boot: 1,
    featureLevel: 1,
    version: '0.0.0'
  }
}

interface GoOptions {
  /** whom the node says it has links to */
  readonly reach: readonly NodeId[]
  readonly onBegin?: (target: NodeId) => void
  readonly mayTake?: (id: NodeId) => boolean
  /** in place of the node's own */
  readonly replica?: HandOverParts['replica']
}

/** Hands over what `node` leads. @returns who was asked to take over, and how long it took */
async function go({ cluster }: Scene, node: Process, options: GoOptions) {
  const { reach, onBegin, replica, mayTake = () => true } = options
  const { time } = cluster
  const targets: NodeId[] = []
  const beganMs = time.nowMs()
  await time.settled(
    handOver({
      replica: replica ?? node.assembly.replica,
      links: () => reach.map(linkTo),
      clock: time,
      timers: time,
      mayTake,
      onBegin: (target) => {
        targets.push(target)
        onBegin?.(target)
      }
    }),
    LONG_MS
  )
  return { targets, tookMs: time.nowMs() - beganMs }
}

/** A put, and how it ends. */
function put(node: Process, key: string): { end: string | null } {
  const write: { end: string | null } = { end: null }
  const change = { kind: 'put', key: bytesOf(key), value: bytesOf(key), condition: null } as const
  node.assembly.service.kv.write({ changes: [change] }).then(
    () => (write.end = 'done'),
    (error: unknown) => (write.end = error instanceof AspenError ? error.code : String(error))
  )
  return write
}

test('the node that was asked leads, and no write under way anywhere is lost or in doubt', async (t) => {
  const scene = await threeVoters(11)
  const { cluster, leader, others } = scene
  const writes: { end: string | null }[] = []
  for (let round = 0; round < 20; round++) {
    for (const node of cluster.nodes()) writes.push(put(node, `before-${writes.length}`))
    await cluster.time.run(3)
  }
  const under = writes.filter(({ end }) => end === null).length
  t.ok(under > 0, `${under} writes are under way`)
  const { targets, tookMs } = await go(scene, leader, { reach: others.map(idOf) })
  t.ok(tookMs <= 1_000, `${tookMs} ms`)
  const isOver = (): boolean => writes.every(({ end }) => end !== null)
  t.ok(await cluster.time.runUntil(isOver, 5_000))
  t.alike(new Set(writes.map(({ end }) => end)), new Set(['done']))
  t.alike(
    [cluster.leader()].map((node) => node && idOf(node)),
    targets
  )
  t.not(cluster.leader(), leader)
  const after = put(leader, 'after')
  await cluster.time.run(1_000)
  t.is(after.end, 'done', 'it takes writes again, as a follower')
})

test('what was proposed before is settled, and nothing is taken any more, when another is asked', async (t) => {
  for (const writeCount of [0, 5]) {
    const scene = await threeVoters(16)
    const { cluster, leader, others } = scene
    for (let count = 0; count < writeCount; count++) put(leader, `k${count}`)
    await cluster.time.run(1)
    t.is(leader.assembly.replica.pendingProposalCount, writeCount)
    const steps: string[] = []
    const replica = watched(scene, (step, sincePauseMs) => {
      steps.push(step)
      const isLate = sincePauseMs >= 2 * RTT_MS
      if (step.startsWith('transfer')) t.ok(isLate, `${sincePauseMs} ms for all to notice`)
    })
    await go(scene, leader, { reach: others.map(idOf), replica })
    t.alike(steps, ['paused true', 'transfer with 0 under way', 'paused false'])
  }
})

/** The leader's replica, which tells what it is asked. */
function watched(
  { cluster, leader }: Scene,
  onStep: (step: string, sincePauseMs: number) => void
): HandOverParts['replica'] {
  const { replica } = leader.assembly
  let pausedMs = 0
  return {
    get status() {
      return replica.status
    },
    get pendingProposalCount() {
      return replica.pendingProposalCount
    },
    pauseProposals(isOn) {
      if (isOn) pausedMs = cluster.time.nowMs()
      onStep(`paused ${isOn}`, 0)
      replica.pauseProposals(isOn)
    },
    transfer(target, onAnswer) {
      const sincePauseMs = cluster.time.nowMs() - pausedMs
      onStep(`transfer with ${replica.pendingProposalCount} under way`, sincePauseMs)
      replica.transfer(target, onAnswer)
    }
  }
}

test('who does not lead, leads alone, or reaches no voter, goes at once', async (t) => {
  const scene = await threeVoters(12)
  const { leader, others } = scene
  const [follower] = others
  if (follower === undefined) throw new Error('a follower')
  const nothing = { targets: [], tookMs: 0 }
  t.alike(await go(scene, follower, { reach: [idOf(leader)] }), nothing, 'a follower')
  t.alike(await go(scene, leader, { reach: [] }), nothing, 'nobody in reach')
  t.alike(await go(scene, leader, { reach: [99] }), nothing, 'somebody who has no vote')
  t.is(scene.cluster.leader(), leader)

  const cluster = new MemoryCluster({ seed: 13 })
  const alone = await cluster.time.settled(cluster.create('a'), LONG_MS)
  const lonely = { cluster, leader: alone, others: [] }
  t.alike(await go(lonely, alone, { reach: [2] }), nothing, 'the only voter')
  t.is(cluster.leader(), alone)
})

test('only who is in reach is asked', async (t) => {
  for (const at of [0, 1]) {
    const scene = await threeVoters(14)
    const target = scene.others[at]
    if (target === undefined) throw new Error('two others')
    const { targets } = await go(scene, scene.leader, { reach: [idOf(target)] })
    t.alike(targets, [idOf(target)])
    const leads = (): boolean => scene.cluster.leader() === target
    t.ok(await scene.cluster.time.runUntil(leads, 4 * RTT_MS))
  }
})

test('when nobody takes over it goes after a second, and leads on until it has gone', async (t) => {
  const scene = await threeVoters(15)
  const { cluster, leader, others } = scene
  const [target] = others
  if (target === undefined) throw new Error('a follower')
  const { targets, tookMs } = await go(scene, leader, {
    reach: [idOf(target)],
    onBegin: () => cluster.cut(leader.name, target.name)
  })
  t.alike(targets, [idOf(target)])
  t.ok(tookMs >= 1_000 && tookMs < 1_010, `${tookMs} ms`)
  t.is(cluster.leader(), leader)
  const write = put(leader, 'k')
  await cluster.time.runUntil(() => write.end !== null, 10_000)
  t.is(write.end, 'done', 'it does not go on refusing')
})

test('a voter that may not take over is not asked', async (t) => {
  const scene = await threeVoters(23)
  const { cluster, leader, others } = scene
  const reach = others.map(idOf)
  const [first = 0, second = 0] = reach
  t.alike((await go(scene, leader, { reach, mayTake: () => false })).targets, [])
  t.is(cluster.leader(), leader)
  t.alike((await go(scene, leader, { reach, mayTake: (id) => id !== first })).targets, [second])
  await cluster.close()
})
