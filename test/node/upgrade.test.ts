// UPG-05: entries of the future, on whole clusters in memory; and how the present level comes about.

import test from 'brittle'
import { STORAGE_POLICY } from '../../lib/cluster/storage-policy.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { ENTRY_KIND } from '../../lib/raft/entry.ts'
import { encodeControl } from '../../lib/state-machine/encoding.ts'
import type { StateMachine } from '../../lib/state-machine/state-machine.ts'
import type { Process } from '../../lib/testing/machine.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'

const LONG_MS = 60_000

async function threeVoters(options: Partial<ConstructorParameters<typeof MemoryCluster>[0]> = {}) {
  const cluster = new MemoryCluster({ seed: 3, ...options })
  const { time } = cluster
  await cluster.form(['a', 'b', 'c'])
  await time.run(1_000)
  return cluster
}

/** What a newer leader would put into the log. */
function proposeOn(node: Process, kind: number, payload: Uint8Array): void {
  node.assembly.replica.propose({ kind, payload, onOutcome: () => {} })
}

/** Two end: the leader, and who leads after it. The third alone does not learn that it is committed. */
async function stopAt(cluster: MemoryCluster, kind: number, payload: Uint8Array) {
  const nodes = cluster.nodes()
  const leader = cluster.leader() ?? cluster.node('a')
  const before = leader.assembly.replica.appliedIndex
  proposeOn(leader, kind, payload)
  const ended = (): readonly Process[] => nodes.filter((node) => node.failure !== null)
  await cluster.time.runUntil(() => ended().length === 2, LONG_MS)
  await cluster.time.run(10_000)
  for (const node of nodes) if (node.failure === null) cluster.crash(node.name)
  for (const { machine } of ended()) machine.forget()
  return { nodes, ended: ended(), before }
}

test('UPG-05 an entry of a kind that nobody knows stops each node before it, and names it', async (t) => {
  const cluster = await threeVoters()
  const { nodes, ended, before } = await stopAt(cluster, 200, bytesOf('of a later version'))
  t.is(ended.length, 2)
  for (const { name, failure } of ended) {
    t.is(failure?.code, 'UNKNOWN_ENTRY_KIND', name)
    t.ok(failure?.message.includes(`index ${before + 1} has entry kind 200`), failure?.message)
  }
  for (const node of nodes) {
    t.is(node.stateMachine.applied().index, before, 'nothing beyond it is applied')
  }
  const again: Process[] = []
  for (const { name } of nodes)
    again.push(await cluster.time.settled(cluster.restart(name), LONG_MS))
  await cluster.time.runUntil(() => again.some((node) => node.failure !== null), LONG_MS)
  const codes = again.map((node) => node.failure?.code ?? null)
  t.ok(codes.includes('UNKNOWN_ENTRY_KIND'), 'it is still there after a restart')
  for (const node of again) if (node.failure !== null) node.machine.forget()
  await cluster.close()
})

test('UPG-05 a feature level above the own one stops each node likewise', async (t) => {
  const cluster = await threeVoters()
  const payload = encodeControl({ kind: 'raiseFeatureLevel', level: 9 })
  const { ended } = await stopAt(cluster, ENTRY_KIND.control, payload)
  t.is(ended.length, 2)
  for (const { name, failure } of ended) {
    t.is(failure?.code, 'UNKNOWN_ENTRY_KIND', name)
    t.ok(failure?.message.includes('feature level 9'), failure?.message)
  }
  await cluster.close()
})

/** Lets a node find a state of level 0, which no program makes any more: its own level is one to be raised to. */
function beginAtLevel0({ stateMachine }: Process): void {
  const applied = stateMachine.applied.bind(stateMachine)
  const apply = stateMachine.apply.bind(stateMachine)
  let featureLevel = 0
  const older: Pick<StateMachine, 'applied' | 'apply'> = {
    applied: () => ({ ...applied(), featureLevel }),
    apply: (entries, onApplied) =>
      apply(entries, (results) => {
        if (results.some(({ kind }) => kind === 'levelRaised')) featureLevel = 1
        onApplied(results)
      })
  }
  Object.assign(stateMachine, older)
}

test('the level is raised when what needs it is due, not before, and not while a member is away', async (t) => {
  const cluster = await threeVoters({
    storagePolicy: { ...STORAGE_POLICY, snapshotEntries: 40, keepEntries: 5 }
  })
  const { time } = cluster
  const write = async (count: number): Promise<void> => {
    for (let at = 0; at < count; at++) {
      const change = {
        kind: 'put',
        key: bytesOf(`${at}`),
        value: bytesOf('v'),
        condition: null
      } as const
      const { kv } = cluster.node('a').assembly.service
      await time.settled(kv.write({ changes: [change] }), LONG_MS)
    }
    await time.run(2_000)
  }
  const levels = () => cluster.nodes().map((node) => node.stateMachine.applied().featureLevel)
  t.alike(levels(), [1, 1, 1], 'that of the first published program')
  for (const node of cluster.nodes()) beginAtLevel0(node)
  t.alike(levels(), [0, 0, 0])
  cluster.crash('c')
  await time.run(5_000)
  await write(60)
  t.alike(levels(), [0, 0], 'one member does not say what it supports')
  t.is(cluster.node('a').log.base.index, 0, 'so nothing is compacted')
  beginAtLevel0(await time.settled(cluster.restart('c'), LONG_MS))
  await time.run(5_000)
  await write(10)
  t.alike(levels(), [1, 1, 1])
  t.ok(cluster.node('a').log.base.index > 0, 'and then it is')
  await cluster.close()
})

test('an admitted node that never came does not keep the cluster from snapshots', async (t) => {
  const cluster = await threeVoters({
    storagePolicy: { ...STORAGE_POLICY, snapshotEntries: 40, keepEntries: 5 }
  })
  const { time } = cluster
  const { service } = cluster.node('a').assembly
  const { ticket } = await time.settled(service.createTicket(), LONG_MS)
  await time.settled(cluster.admit('gone', ticket), LONG_MS)
  for (let at = 0; at < 60; at++) {
    const [key, value] = [bytesOf(`${at}`), bytesOf('v')]
    const changes = [{ kind: 'put', key, value, condition: null } as const]
    await time.settled(service.kv.write({ changes }), LONG_MS)
  }
  await time.run(2_000)
  t.is(cluster.nodes().length, 3)
  t.is(cluster.node('a').stateMachine.trust().nodes.length, 4)
  for (const node of cluster.nodes()) t.ok(node.log.base.index > 0, node.name)
  await cluster.close()
})
