// Members that are removed, and nodes that are let in by their key, in whole clusters on virtual time.

import test from 'brittle'
import type { Assert } from 'brittle'
import { bytesOf, textOf } from '../../lib/encoding.ts'
import { AspenError, EXIT, CODES } from '../../lib/errors.ts'
import type { ConfigurationChange } from '../../lib/raft/configuration.ts'
import { memberOf, votersOf } from '../../lib/raft/configuration.ts'
import type { Process } from '../../lib/testing/machine.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'

const LONG_MS = 60_000

async function clusterOf(names: readonly string[], seed = 1): Promise<Formed> {
  const cluster = new MemoryCluster({ seed })
  const ticket = await cluster.form(names)
  return { cluster, ticket }
}

interface Formed {
  readonly cluster: MemoryCluster
  readonly ticket: string
}

function idOf(node: Process): number {
  return node.machine.id
}

/** As an operator asks for it of the leader, again until it is done. */
async function change(
  cluster: MemoryCluster,
  asked: Partial<ConfigurationChange>
): Promise<boolean> {
  const whole = { add: [], promote: [], demote: [], remove: [], ...asked }
  let isDone = false
  const propose = (): void => {
    const leader = cluster.leader()
    if (leader === null || isDone) return
    leader.assembly.replica.change(whole, (outcome) => {
      isDone ||= outcome.kind === 'done'
    })
  }
  propose()
  for (let round = 0; round < 40 && !isDone; round++) {
    if (await cluster.time.runUntil(() => isDone, 500)) break
    propose()
  }
  return isDone
}

/** All who run agree that the node is gone, and nobody has a link to it. */
async function isGone(cluster: MemoryCluster, id: number): Promise<boolean> {
  return await cluster.time.runUntil(
    () =>
      cluster
        .nodes()
        .filter((node) => node.failure === null)
        .every(
          (node) =>
            node.stateMachine.trust().removed.some((each) => each.id === id) &&
            memberOf(node.assembly.replica.status.configuration, id) === undefined &&
            !node.links().includes(id)
        ),
    LONG_MS
  )
}

async function ended(cluster: MemoryCluster, node: Process): Promise<AspenError | null> {
  await cluster.time.runUntil(() => node.failure !== null, LONG_MS)
  return node.failure
}

async function put(cluster: MemoryCluster, node: Process, key: string): Promise<void> {
  const each = { kind: 'put', key: bytesOf(key), value: bytesOf(key), condition: null } as const
  await cluster.time.settled(node.assembly.service.kv.write({ changes: [each] }), LONG_MS)
}

async function get(cluster: MemoryCluster, node: Process, key: string): Promise<string | null> {
  const got = await cluster.time.settled(node.assembly.service.kv.get(bytesOf(key)), LONG_MS)
  return got.item === null ? null : textOf(got.item.value)
}

async function worksWithout(t: Assert, cluster: MemoryCluster, id: number): Promise<void> {
  const left = cluster.nodes().filter((node) => node.failure === null)
  for (const node of left) {
    t.absent(node.assembly.service.members().members.some((member) => member.id === id))
    await put(cluster, node, `from ${node.name}`)
  }
  for (const node of left) t.is(await get(cluster, node, 'from b'), 'from b', node.name)
}

function forget(node: Process): void {
  node.machine.forget()
}

test('a follower that is removed ends, and says so; the others go on without it', async (t) => {
  const { cluster } = await clusterOf(['a', 'b', 'c'])
  const c = cluster.node('c')
  const id = idOf(c)
  t.ok(await change(cluster, { remove: [id] }))
  const error = await ended(cluster, c)
  t.is(error?.code, 'MEMBER_REMOVED')
  t.ok(error?.message.startsWith('this node'))
  t.ok(error?.detail.hint?.includes('empty folder'))
  t.is(CODES.MEMBER_REMOVED.exitCode, EXIT.denied)
  t.ok(await isGone(cluster, id))
  await worksWithout(t, cluster, id)
  forget(c)
  await cluster.close()
})

test('a learner that is removed ends, and no leader makes a learner of it again', async (t) => {
  const { cluster } = await clusterOf(['a', 'b', 'c', 'd'])
  const d = cluster.node('d')
  const id = idOf(d)
  t.alike(cluster.node('a').assembly.service.status().voters.length, 3)
  t.ok(await change(cluster, { remove: [id] }))
  t.is((await ended(cluster, d))?.code, 'MEMBER_REMOVED')
  t.ok(await isGone(cluster, id))
  forget(d)
  // another leader, which sees the admission of long ago
  const leader = cluster.leader()
  if (leader === null) return t.fail('somebody leads')
  cluster.crash(leader.name)
  await cluster.time.run(20_000)
  for (const node of cluster.nodes())
    t.is(memberOf(node.assembly.replica.status.configuration, id), undefined, node.name)
  await cluster.close()
})

test('MEM-03 a dead member is removed, and is told when it returns, each time', async (t) => {
  const { cluster } = await clusterOf(['a', 'b', 'c', 'd'])
  const dead = cluster.nodes().find((node) => node !== cluster.leader())
  if (dead === undefined) return t.fail('a follower')
  const { name } = dead
  const id = idOf(dead)
  cluster.crash(name)
  await cluster.time.run(5_000)
  t.ok(await change(cluster, { remove: [id] }))
  t.ok(await isGone(cluster, id))
  await put(cluster, cluster.nodes()[0] ?? dead, 'k')
  for (const round of [1, 2]) {
    const back = await cluster.restart(name)
    const error = await ended(cluster, back)
    t.is(error?.code, 'MEMBER_REMOVED', `start ${round}`)
    t.ok(error?.message.includes('a member refuses it'))
    forget(back)
    await cluster.time.run(1_000)
  }
  t.ok(await isGone(cluster, id))
  await cluster.close()
})

test('a removed member that nobody can reach counts for nothing, and disturbs nobody', async (t) => {
  const { cluster } = await clusterOf(['a', 'b', 'c', 'd'])
  const follower = cluster.nodes().find((node) => node !== cluster.leader())
  if (follower === undefined) return t.fail('a follower')
  const { name } = follower
  const others = cluster.nodes().filter((node) => node !== follower)
  for (const other of others) cluster.cut(name, other.name)
  await cluster.time.run(5_000)
  t.ok(await change(cluster, { remove: [idOf(follower)] }))
  await cluster.time.run(20_000)
  const { term } = cluster.leader()?.assembly.replica.status ?? { term: 0 }
  t.is(follower.failure, null, 'it cannot know')
  t.not(follower.assembly.replica.status.role, 'leader')
  for (const other of others) cluster.heal(name, other.name)
  t.is((await ended(cluster, follower))?.code, 'MEMBER_REMOVED')
  t.is(cluster.leader()?.assembly.replica.status.term, term, 'nobody was disturbed')
  forget(follower)
  await cluster.close()
})

test('the leader hands over first; then it is removed like any other', async (t) => {
  const { cluster } = await clusterOf(['a', 'b', 'c'])
  const old = cluster.leader()
  if (old === null) return t.fail('somebody leads')
  await cluster.time.settled(old.assembly.handOver(), LONG_MS)
  await cluster.time.runUntil(() => ![null, old].includes(cluster.leader()), LONG_MS)
  t.not(cluster.leader(), old)
  t.ok(await change(cluster, { remove: [idOf(old)] }))
  t.is((await ended(cluster, old))?.code, 'MEMBER_REMOVED')
  t.ok(await isGone(cluster, idOf(old)))
  forget(old)
  await cluster.close()
})

test('a leader that finds itself removed steps down and ends; another leads', async (t) => {
  const { cluster } = await clusterOf(['a', 'b', 'c'])
  const old = cluster.leader()
  if (old === null) return t.fail('somebody leads')
  t.ok(await change(cluster, { remove: [idOf(old)] }))
  const error = await ended(cluster, old)
  t.is(error?.code, 'MEMBER_REMOVED')
  t.ok(error?.message.includes(`(${idOf(old)})`), 'its own log says so')
  forget(old)
  await cluster.time.runUntil(() => cluster.leader() !== null, LONG_MS)
  t.ok(await isGone(cluster, idOf(old)))
  await put(cluster, cluster.nodes()[0] ?? old, 'k')
  await cluster.close()
})

test('a removed key comes back neither by ticket nor by key, and tickets from before are closed', async (t) => {
  const { cluster, ticket } = await clusterOf(['a', 'b', 'c'])
  const c = cluster.node('c')
  const { machine } = c
  t.ok(await change(cluster, { remove: [idOf(c)] }))
  await ended(cluster, c)
  forget(c)
  t.ok(await isGone(cluster, machine.id))
  const a = cluster.node('a')
  const codeOf = async (trying: Promise<unknown>): Promise<string> => {
    const outcome = cluster.time.settled(trying, 2 * LONG_MS)
    return await outcome.then(
      () => 'let in',
      (error: unknown) => (error instanceof AspenError ? error.code : String(error))
    )
  }
  t.is(await codeOf(machine.requestAdmission(ticket)), 'TICKET_REVOKED')
  const fresh = await cluster.time.settled(a.assembly.service.createTicket(), LONG_MS)
  t.is(await codeOf(machine.requestAdmission(fresh.ticket)), 'MEMBER_REMOVED')
  t.is(await codeOf(machine.admitByKey(a)), 'MEMBER_REMOVED')
  t.is(await codeOf(machine.askWelcome(a.machine)), 'MEMBER_REMOVED')
  // another machine may
  const d = await cluster.time.settled(cluster.join('d', fresh.ticket), LONG_MS)
  t.is(idOf(d), 4, 'the id of the removed one is not given again')
  await cluster.close()
})

test('a node is let in by its key alone, catches up, and is a voter when its turn comes', async (t) => {
  const { cluster } = await clusterOf(['a'])
  await put(cluster, cluster.node('a'), 'before')
  const b = await cluster.time.settled(cluster.joinByKey('b', 'a'), LONG_MS)
  t.is(idOf(b), 2)
  t.is(await get(cluster, b, 'before'), 'before')
  await cluster.time.settled(cluster.joinByKey('c', 'b'), LONG_MS)
  const isGrown = (): boolean =>
    cluster
      .nodes()
      .every((node) => votersOf(node.assembly.replica.status.configuration).length === 3)
  t.ok(await cluster.time.runUntil(isGrown, LONG_MS))
  const described = (): boolean =>
    cluster
      .node('a')
      .stateMachine.trust()
      .nodes.every((node) => node.version !== '')
  t.ok(await cluster.time.runUntil(described, LONG_MS), 'and says its version itself')
  await cluster.close()
})

test('a voter that was demoted by an operator is not promoted again by itself', async (t) => {
  const { cluster } = await clusterOf(['a', 'b', 'c', 'd'])
  const leader = cluster.leader()
  if (leader === null) return t.fail('somebody leads')
  const { configuration } = leader.assembly.replica.status
  const target = votersOf(configuration).find((id) => id !== idOf(leader)) ?? 0
  t.ok(await change(cluster, { demote: [target] }))
  await cluster.time.run(20_000)
  for (const node of cluster.nodes()) {
    const voters = votersOf(node.assembly.replica.status.configuration)
    t.absent(voters.includes(target), node.name)
    t.is(voters.length, 3, 'another one took its place')
  }
  await cluster.close()
})
