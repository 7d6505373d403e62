// The controller in one object: a cluster's whole life, and the refusals of a real one.

import test from 'brittle'
import fc from 'fast-check'
import { AspenError } from '../../lib/errors.ts'
import type { ClusterController } from '../../lib/service/cluster-controller.ts'
import { DeterministicClusterController } from '../../lib/testing/deterministic-controller.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'

type Call = (controller: ClusterController) => Promise<unknown>

function keyOf(at: number): string {
  return at.toString(16).padStart(2, '0').repeat(32)
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'done'
  } catch (error) {
    if (!(error instanceof AspenError)) throw error
    return error.code
  }
}

async function controllerOf(count: number): Promise<DeterministicClusterController> {
  const controller = new DeterministicClusterController()
  const initialMembers = Array.from({ length: count }, (_, at) => ({ key: keyOf(at + 1) }))
  await controller.init({ initialMembers })
  return controller
}

test('a cluster is founded, grows, changes its voters and its leader, and shrinks', async (t) => {
  const controller = await controllerOf(3)
  t.alike((await controller.currentState()).members, [1, 2, 3])
  t.is(await controller.getLeader(), 1)
  const added = await controller.addLearner({
    learner: { key: keyOf(4), addresses: ['192.0.2.4:49737'] }
  })
  t.alike(added.learners, [{ id: 4, key: keyOf(4), addresses: ['192.0.2.4:49737'] }])
  t.alike(await controller.addLearner({ learner: { key: keyOf(4), id: 4 } }), added)
  const promoted = await controller.promoteLearner({ learnerId: 4, replaceNode: 2 })
  t.alike(promoted.previousVoters, [1, 2, 3])
  t.alike(promoted.newVoters, [1, 3, 4])
  const changed = await controller.changeMembership({ members: [1, 2, 3, 4] })
  t.alike(changed.members, [1, 2, 3, 4])
  t.alike(changed.learners, [])
  t.alike(await controller.transferLeadership({ target: 3 }), { leader: 3 })
  const left = await controller.removeMember({ id: 3 })
  t.alike(left.members, [1, 2, 4])
  t.is(await controller.getLeader(), 1)
  t.is(await codeOf(controller.addLearner({ learner: { key: keyOf(3) } })), 'MEMBER_REMOVED')
  const { last_log_index: before } = await controller.getMetrics()
  const place = await controller.triggerSnapshot()
  t.is(place.index, before + 1)
  t.alike(await controller.triggerSnapshot(), place, 'nothing has happened since')
  t.alike((await controller.getMetrics()).snapshot, place)
})

const ONE = { key: keyOf(1) }
const REFUSALS: Record<string, Call> = {
  'a second cluster': (controller) => controller.init({ initialMembers: [ONE] }),
  'no voter': (controller) => controller.changeMembership({ members: [] }),
  'an unknown voter': (controller) => controller.changeMembership({ members: [1, 99] }),
  'a voter that is promoted': (controller) => controller.promoteLearner({ learnerId: 1 }),
  'an unknown learner': (controller) => controller.promoteLearner({ learnerId: 99 }),
  'an unknown member that goes': (controller) => controller.removeMember({ id: 99 }),
  'the last voter that goes': (controller) => controller.removeMember({ id: 1 }),
  'an unknown leader': (controller) => controller.transferLeadership({ target: 99 }),
  'no key': (controller) => controller.addLearner({ learner: { key: 'zz' } }),
  'an id that the cluster does not give': (controller) =>
    controller.addLearner({ learner: { key: keyOf(9), id: 77 } })
}

test('what is refused is refused with the codes of a real cluster', async (t) => {
  const cluster = new MemoryCluster({ seed: 1 })
  const node = await cluster.time.settled(cluster.create('a'), 60_000)
  const real = node.assembly.service.cluster
  const double = await controllerOf(1)
  for (const [what, call] of Object.entries(REFUSALS)) {
    const expected = await cluster.time.settled(codeOf(call(real)), 60_000)
    t.not(expected, 'done', what)
    t.is(await codeOf(call(double)), expected, what)
  }
  await cluster.close()
})

test('before its founding a cluster answers only who leads it', async (t) => {
  const controller = new DeterministicClusterController()
  t.is(await controller.getLeader(), null)
  t.is(await codeOf(controller.init({ initialMembers: [] })), 'INVALID_REQUEST')
  t.is(await codeOf(controller.init({ initialMembers: [ONE, ONE] })), 'INVALID_REQUEST')
  for (const [what, call] of Object.entries(REFUSALS)) {
    if (what === 'a second cluster') continue
    t.is(await codeOf(call(controller)), 'NOT_INITIALIZED', what)
  }
  t.is(await codeOf(controller.currentState()), 'NOT_INITIALIZED')
})

test('whatever is asked, members are voters or learners, and a voter leads', async (t) => {
  const id = fc.integer({ min: 1, max: 8 })
  const calls = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('add' as const), id }),
      fc.record({ kind: fc.constant('promote' as const), id }),
      fc.record({ kind: fc.constant('remove' as const), id }),
      fc.record({ kind: fc.constant('transfer' as const), id })
    ),
    { maxLength: 40 }
  )
  await fc.assert(
    fc.asyncProperty(calls, async (list) => {
      const controller = await controllerOf(3)
      for (const call of list) {
        if (call.kind === 'add')
          await codeOf(controller.addLearner({ learner: { key: keyOf(call.id) } }))
        if (call.kind === 'promote') await codeOf(controller.promoteLearner({ learnerId: call.id }))
        if (call.kind === 'remove') await codeOf(controller.removeMember({ id: call.id }))
        if (call.kind === 'transfer')
          await codeOf(controller.transferLeadership({ target: call.id }))
        const { nodes, members, learners } = await controller.currentState()
        if (nodes.length !== members.length + learners.length) throw new Error('who is lost?')
        if (!members.includes((await controller.getLeader()) ?? 0)) throw new Error('who leads?')
        if (new Set(nodes.map(({ key }) => key)).size !== nodes.length)
          throw new Error('a key twice')
      }
    }),
    { numRuns: 200 }
  )
  t.pass('200 lists of calls')
})
