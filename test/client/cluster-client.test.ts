// The controller of a cluster through the client and a real server: what is asked arrives, what is answered
// comes back in the shapes of the controller, and refusals with their fields.

import test from 'brittle'
import { Client } from '../../lib/client/client.ts'
import { AspenError, ControlPlaneError } from '../../lib/errors.ts'
import { openServer } from '../http/open-server.ts'

const NODE = { id: 1, key: 'ab'.repeat(32), addresses: ['127.0.0.1:4000'] }
const OTHER = { key: 'cd'.repeat(32), addresses: ['10.0.0.2:4000'] }

test('every operation on the cluster travels, with what it takes, and comes back', async (t) => {
  const { server, node } = await openServer(t)
  const client = Client.connect({ socketPath: server.socketPath })
  t.teardown(() => client.close(), { order: -1 })
  const { cluster } = client

  t.alike(await cluster.currentState(), { nodes: [NODE], members: [1], learners: [] })
  t.alike(await cluster.currentState({ consistency: 'stale', timeoutMs: 321 }), {
    nodes: [NODE],
    members: [1],
    learners: []
  })
  t.alike(node.lastOptions, { consistency: 'stale', timeoutMs: 321 })

  const added = await cluster.addLearner({ learner: { ...OTHER, name: 'b' } }, { timeoutMs: 322 })
  t.alike(added.learners, [{ id: 2, ...OTHER }])
  t.alike(node.cluster.lastRequest, { learner: { ...OTHER, name: 'b' } })
  t.alike(node.lastOptions, { timeoutMs: 322 })

  t.alike(await cluster.promoteLearner({ learnerId: 2, replaceNode: 1, force: true }), {
    learnerId: 2,
    previousVoters: [1],
    newVoters: [2],
    timestamp: '2026-01-01T00:00:00.003Z'
  })
  t.alike(node.cluster.lastRequest, { learnerId: 2, replaceNode: 1, force: true })

  t.alike((await cluster.changeMembership({ members: [1, 2] })).members, [1, 2])
  t.alike(await cluster.transferLeadership(), { leader: 1 })
  t.alike(await cluster.transferLeadership({ target: 2 }), { leader: 2 })
  t.is(await cluster.getLeader(), 2)
  t.alike(await cluster.triggerSnapshot(), { term: 1, index: 5 })
  t.is((await cluster.getMetrics()).state, 'Leader')
  const removal = await cluster.removeMember({ id: 2 })
  t.alike(removal, { nodes: [NODE], members: [1], learners: [], revokedTickets: ['00000001'] })
})

test('a refusal comes back with its code, its family and its fields', async (t) => {
  const { server, node } = await openServer(t)
  const client = Client.connect({ socketPath: server.socketPath })
  t.teardown(() => client.close(), { order: -1 })
  const fields = { id: 4, lag: 500 }
  node.fail(new ControlPlaneError({ code: 'LEARNER_LAGGING', message: 'too far', fields }))
  try {
    await client.cluster.promoteLearner({ learnerId: 4 })
    t.fail('it is refused')
  } catch (error) {
    t.ok(error instanceof ControlPlaneError)
    // whom the node hears is added where the error names nobody
    t.alike(error instanceof AspenError && error.detail.fields, { ...fields, leader: 1 })
  }
  try {
    await client.cluster.init({ initialMembers: [{ key: NODE.key }] })
    t.fail('it is refused')
  } catch (error) {
    t.is(error instanceof AspenError && error.code, 'ALREADY_INITIALIZED')
  }
})
