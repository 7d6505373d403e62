// What a leader changes next, one change at a time.

import test from 'brittle'
import { LeaderDuties } from '../../lib/cluster/leader-duties.ts'
import { MAX_MEMBERS, PROMOTION_STABILITY_MS } from '../../lib/limits.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { Configuration, ConfigurationChange } from '../../lib/raft/configuration.ts'
import type { FollowerStatus, Role } from '../../lib/raft/effects.ts'
import type { NodeRecord } from '../../lib/state-machine/state-machine.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import { configurationOf, nodeOf, statusOf, trustOf } from './fixtures.ts'

const CAUGHT_UP: FollowerStatus = {
  matchIndex: 50,
  state: 'replicate',
  heardMs: 0,
  inflightCount: 0,
  inflightBytes: 0
}

interface Begun {
  readonly change: ConfigurationChange
  readonly end: (isDone: boolean) => void
}

function open(configuration: Configuration, nodes: readonly NodeRecord[]) {
  const time = new VirtualTime()
  const begun: Begun[] = []
  const world = {
    configuration,
    nodes,
    role: 'leader' as Role,
    appliedTerm: 4,
    appliedConfigurationIndex: 1,
    linked: new Set<NodeId>([2, 3, 4, 5])
  }
  const duties = new LeaderDuties({
    clock: time,
    timers: time,
    targetVoters: 3,
    status: () => {
      const progress = new Map(
        world.configuration.members.map(
          ({ id }) => [id, { ...CAUGHT_UP, heardMs: time.nowMs() }] as const
        )
      )
      return statusOf(world.configuration, { role: world.role, progress })
    },
    trustState: () => trustOf(world.nodes),
    applied: () => ({
      term: world.appliedTerm,
      configurationIndex: world.appliedConfigurationIndex
    }),
    isLinked: (id) => world.linked.has(id),
    heartbeatMs: 150,
    change: (change, end) => begun.push({ change, end }),
    onChange: () => {}
  })
  const changes = (): readonly string[] => begun.map(({ change }) => briefOf(change))
  return { time, world, duties, begun, changes }
}

function briefOf({ add, promote }: ConfigurationChange): string {
  const added = add.map(({ id, role }) => `+${id} ${role}`)
  return [...added, ...promote.map((id) => `^${id}`)].join(', ')
}

const ALONE = configurationOf({ 1: 'voter' })
const nodes = (...ids: readonly NodeId[]): readonly NodeRecord[] => ids.map((id) => nodeOf(id))

test('every admitted node that is in no configuration becomes a learner, in one change', (t) => {
  const { duties, changes } = open(ALONE, nodes(1, 2, 3))
  duties.look()
  t.alike(changes(), ['+2 learner, +3 learner'])
})

test('what an earlier leader did not finish waits for the first own entry to be applied', (t) => {
  const { duties, world, changes } = open(ALONE, nodes(1, 2))
  world.appliedTerm = 3
  duties.look()
  t.alike(changes(), [])
  world.appliedTerm = 4
  duties.look()
  t.alike(changes(), ['+2 learner'])
})

test('who was removed is not added again before the removal is applied here', (t) => {
  const { duties, world, changes } = open(ALONE, nodes(1, 2))
  world.appliedConfigurationIndex = 0
  duties.look()
  t.alike(changes(), [], 'the trust state still has it')
  world.nodes = nodes(1)
  world.appliedConfigurationIndex = 1
  duties.look()
  t.alike(changes(), [])
  world.nodes = nodes(1, 3)
  duties.look()
  t.alike(changes(), ['+3 learner'])
})

test('one change at a time; the next when the one before has ended', (t) => {
  const { duties, world, begun, changes } = open(ALONE, nodes(1, 2))
  duties.look()
  world.nodes = nodes(1, 2, 3)
  duties.look()
  t.is(begun.length, 1)
  world.configuration = configurationOf({ 1: 'voter', 2: 'learner' })
  begun[0]?.end(true)
  t.alike(changes(), ['+2 learner', '+3 learner'])
})

test('a change that was refused is tried again later, not at once and not in a loop', async (t) => {
  const { time, duties, begun } = open(ALONE, nodes(1, 2))
  duties.look()
  begun[0]?.end(false)
  t.is(begun.length, 1)
  await time.run(249)
  t.is(begun.length, 1)
  await time.run(1)
  t.is(begun.length, 2)
  for (let count = 0; count < 8; count++) {
    begun.at(-1)?.end(false)
    await time.run(250)
  }
  t.is(begun.length, 10)
})

test('nothing is changed while a joint change is in progress, or by a follower', async (t) => {
  const { time, duties, world, begun } = open({ ...ALONE, outgoing: [1] }, nodes(1, 2))
  duties.look()
  await time.run(1_000)
  t.is(begun.length, 0)
  world.configuration = ALONE
  world.role = 'follower'
  duties.look()
  await time.run(1_000)
  t.is(begun.length, 0)
  t.is(time.pendingCount, 0, 'a follower does not look by the clock')
})

test('learners are promoted when they have been linked and caught up for the stability time', async (t) => {
  const learners = configurationOf({ 1: 'voter', 2: 'learner', 3: 'learner' })
  const { time, duties, changes } = open(learners, nodes(1, 2, 3))
  duties.look()
  await time.run(PROMOTION_STABILITY_MS - 1)
  t.alike(changes(), [])
  await time.run(1)
  t.alike(changes(), ['^2, ^3'])
})

test('a lost link begins the time anew', async (t) => {
  const learners = configurationOf({ 1: 'voter', 2: 'learner', 3: 'learner' })
  const { time, duties, world, changes } = open(learners, nodes(1, 2, 3))
  duties.look()
  await time.run(PROMOTION_STABILITY_MS - 500)
  world.linked.delete(3)
  duties.look()
  world.linked.add(3)
  await time.run(PROMOTION_STABILITY_MS - 1)
  t.alike(changes(), [])
  await time.run(251)
  t.alike(changes(), ['^2, ^3'])
})

test('who leads anew counts anew', async (t) => {
  const learners = configurationOf({ 1: 'voter', 2: 'learner', 3: 'learner' })
  const { time, duties, world, changes } = open(learners, nodes(1, 2, 3))
  duties.look()
  await time.run(PROMOTION_STABILITY_MS - 10)
  world.role = 'follower'
  duties.look()
  world.role = 'leader'
  duties.look()
  await time.run(PROMOTION_STABILITY_MS - 10)
  t.alike(changes(), [])
  await time.run(260)
  t.is(changes().length, 1)
})

test('nodes that came as learners are never promoted', async (t) => {
  const learners = configurationOf({ 1: 'voter', 2: 'learner', 3: 'learner' })
  const { time, duties, begun } = open(learners, [
    nodeOf(1),
    nodeOf(2),
    nodeOf(3, { role: 'learner' })
  ])
  duties.look()
  await time.run(10_000)
  t.is(begun.length, 0)
})

test('a configuration never grows beyond MAX_MEMBERS', (t) => {
  const roles: Record<NodeId, 'voter' | 'learner'> = { 1: 'voter' }
  for (let id = 2; id < MAX_MEMBERS; id++) roles[id] = 'learner'
  const all = Array.from({ length: MAX_MEMBERS + 3 }, (_, at) => nodeOf((at % 200) + 1))
  const { duties, begun } = open(configurationOf(roles), all)
  duties.look()
  t.is(begun[0]?.change.add.length, 1)
})

test('closed, it looks no more', async (t) => {
  const { time, duties, world, begun } = open(ALONE, nodes(1))
  duties.look()
  duties.close()
  world.nodes = nodes(1, 2)
  duties.look()
  await time.run(1_000)
  t.is(begun.length, 0)
  t.is(time.pendingCount, 0)
})
