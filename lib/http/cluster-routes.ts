// `/cluster/*`, `/leader`, `/raft-metrics` and what `/admin` has of membership and snapshots: the controller of
// the cluster (service/cluster-controller.ts) in the seed's shapes. Any node answers.

import { DEFAULT_REQUEST_TIMEOUT_MS } from '../limits.ts'
import type {
  AddLearnerRequest,
  ClusterController,
  NodeSpec,
  TransferLeadershipRequest
} from '../service/cluster-controller.ts'
import type {
  LeaderAnswer,
  NodeSpecJson,
  PromotionAnswer,
  RemovalAnswer,
  SnapshotAnswer
} from '../service/cluster-documents.ts'
import * as documents from '../service/cluster-documents.ts'
import { ClusterState, ErrorBody, NodeInfo, RaftMetrics } from '../service/documents.ts'
import type { NodeApi, RequestOptions } from '../service/node-api.ts'
import type { App } from './app.ts'
import { placeOf } from './app.ts'
import { refusal } from './error-body.ts'
import { NoQuery, ReadQuery, readOptionsFrom } from './query.ts'

type Api = Pick<NodeApi, 'cluster' | 'members' | 'nodeInfo'>

export function addClusterRoutes(app: App, api: Api): void {
  addFounding(app, api)
  addLearners(app, api.cluster)
  addVoters(app, api.cluster)
  addLeadership(app, api)
  addViews(app, api)
  addOwnViews(app, api)
}

function addFounding(app: App, api: Api): void {
  const schema = {
    summary: 'Found a cluster on a node that was started without one',
    tags: ['cluster'],
    body: documents.InitBody,
    response: { 200: ClusterState, default: ErrorBody }
  }
  app.route({
    method: 'POST',
    url: '/cluster/init',
    schema,
    handler: async (request) => {
      const options = optionsFrom(request.body)
      const initialMembers = membersFrom(request.body.initial_members, api)
      return placeOf(request).run(options.timeoutMs, () =>
        api.cluster.init({ initialMembers }, options)
      )
    }
  })
}

function addLearners(app: App, cluster: ClusterController): void {
  const admit = {
    summary: 'Admit a node by its key; answers when it is a learner that has caught up',
    tags: ['cluster'],
    body: documents.AddLearnerBody,
    response: { 200: ClusterState, default: ErrorBody }
  }
  app.route({
    method: 'POST',
    url: '/cluster/add-learner',
    schema: admit,
    handler: async (request) => {
      const options = optionsFrom(request.body)
      const asked: AddLearnerRequest = { learner: specFrom(request.body.learner) }
      return placeOf(request).run(options.timeoutMs, () => cluster.addLearner(asked, options))
    }
  })

  const remove = {
    summary: 'Remove a member for good',
    tags: ['cluster'],
    body: documents.RemoveMemberBody,
    response: { 200: documents.RemovalAnswer, default: ErrorBody }
  }
  app.route({
    method: 'POST',
    url: '/cluster/remove-member',
    schema: remove,
    handler: async (request) => {
      const options = optionsFrom(request.body)
      const { id, force = false } = request.body
      const { revokedTickets, ...state } = await placeOf(request).run(options.timeoutMs, () =>
        cluster.removeMember({ id, force }, options)
      )
      return { ...state, revoked_tickets: [...revokedTickets] } satisfies RemovalAnswer
    }
  })
}

function addVoters(app: App, cluster: ClusterController): void {
  const change = {
    summary: 'Make these members the voters, in one change',
    tags: ['cluster'],
    body: documents.ChangeMembershipBody,
    response: { 200: ClusterState, default: ErrorBody }
  }
  app.route({
    method: 'POST',
    url: '/cluster/change-membership',
    schema: change,
    handler: async (request) => {
      const options = optionsFrom(request.body)
      const { members, expected_members: expected } = request.body
      const asked = { members, ...(expected !== undefined && { expected }) }
      return placeOf(request).run(options.timeoutMs, () => cluster.changeMembership(asked, options))
    }
  })

  const promote = {
    summary: 'Make a learner a voter, in the place of another one if need be',
    tags: ['admin'],
    body: documents.PromoteBody,
    response: { 200: documents.PromotionAnswer, default: ErrorBody }
  }
  app.route({
    method: 'POST',
    url: '/admin/promote-learner',
    schema: promote,
    handler: async (request) => {
      const options = optionsFrom(request.body)
      const { learner_id: learnerId, replace_node: replaceNode, force = false } = request.body
      const asked = { learnerId, force, ...(replaceNode !== undefined && { replaceNode }) }
      const promoted = await placeOf(request).run(options.timeoutMs, () =>
        cluster.promoteLearner(asked, options)
      )
      return {
        success: true,
        learner_id: promoted.learnerId,
        previous_voters: [...promoted.previousVoters],
        new_voters: [...promoted.newVoters],
        timestamp: promoted.timestamp,
        message: `Learner ${promoted.learnerId} promoted to voter successfully`
      } satisfies PromotionAnswer
    }
  })
}

function addLeadership(app: App, { cluster }: Api): void {
  const config = { mayLackBody: true }
  const transfer = {
    summary: 'Hand leadership over',
    tags: ['cluster'],
    body: documents.TransferBody,
    response: { 200: documents.TransferAnswer, default: ErrorBody }
  }
  app.route({
    method: 'POST',
    url: '/cluster/transfer-leadership',
    schema: transfer,
    config,
    handler: async (request) => {
      const options = optionsFrom(request.body)
      const { target } = request.body
      const asked: TransferLeadershipRequest = target === undefined ? {} : { target }
      return placeOf(request).run(options.timeoutMs, () =>
        cluster.transferLeadership(asked, options)
      )
    }
  })

  const snapshot = {
    summary: 'Make all members snapshot; answers with the snapshot of this node',
    tags: ['admin'],
    body: documents.TimedBody,
    response: { 200: documents.SnapshotAnswer, default: ErrorBody }
  }
  app.route({
    method: 'POST',
    url: '/admin/trigger-snapshot',
    schema: snapshot,
    config,
    handler: async (request) => {
      const options = optionsFrom(request.body)
      const { term, index } = await placeOf(request).run(options.timeoutMs, () =>
        cluster.triggerSnapshot(options)
      )
      return { snapshot: { term, index } } satisfies SnapshotAnswer
    }
  })
}

/** What a node knows from memory, and the one view that a majority confirms. */
function addViews(app: App, api: Api): void {
  const { cluster } = api
  const config = { isFromMemory: true }
  const state = {
    summary: 'Who belongs to the cluster',
    tags: ['cluster'],
    querystring: ReadQuery,
    response: { 200: ClusterState, default: ErrorBody }
  }
  app.route({
    method: 'GET',
    url: '/cluster/state',
    schema: state,
    handler: async (request) => {
      const options = readOptionsFrom(request.query)
      return placeOf(request).run(options.timeoutMs, () => cluster.currentState(options))
    }
  })

  const leader = {
    summary: 'Who leads, as this node knows it',
    tags: ['cluster'],
    querystring: NoQuery,
    response: { 200: documents.LeaderAnswer, default: ErrorBody }
  }
  app.route({
    method: 'GET',
    url: '/leader',
    schema: leader,
    config,
    handler: async () => leaderAnswer(await cluster.getLeader(), api)
  })
}

function addOwnViews(app: App, api: Api): void {
  const config = { isFromMemory: true }
  const metrics = {
    summary: 'What the consensus core of this node says of itself',
    tags: ['node'],
    querystring: NoQuery,
    response: { 200: RaftMetrics, default: ErrorBody }
  }
  app.route({
    method: 'GET',
    url: '/raft-metrics',
    schema: metrics,
    config,
    handler: async () => api.cluster.getMetrics()
  })

  const info = {
    summary: 'Key and addresses of this node; also without a cluster',
    tags: ['node'],
    querystring: NoQuery,
    response: { 200: NodeInfo, default: ErrorBody }
  }
  app.route({
    method: 'GET',
    url: '/node-info',
    schema: info,
    config,
    handler: async () => api.nodeInfo()
  })
}

function leaderAnswer(leader: number | null, api: Api): LeaderAnswer {
  const row = api.members().members.find(({ id }) => id === leader)
  if (row === undefined) return { leader, key: null, name: null, addresses: [] }
  const { key, name, addresses } = row
  return { leader, key, name, addresses }
}

function optionsFrom(body: { readonly timeout_ms?: number }): Required<RequestOptions> {
  return { timeoutMs: body.timeout_ms ?? DEFAULT_REQUEST_TIMEOUT_MS }
}

/** The seed names no keys: a member without one is this node, and there is one of those at most. */
function membersFrom(members: readonly NodeSpecJson[], api: Api): readonly NodeSpec[] {
  if (members.filter(({ key }) => key === undefined).length > 1) throw keyless()
  const { key } = api.nodeInfo()
  return members.map((member) => specFrom({ key, ...member }))
}

/** @throws AspenError INVALID_REQUEST */
function specFrom(json: NodeSpecJson): NodeSpec {
  const { key, id, name, addresses = [], addr, raft_addr: raftAddr } = json
  if (key === undefined) throw keyless()
  const hints = [...addresses, raftAddr, addr].filter((hint) => hint !== undefined)
  return {
    key,
    addresses: [...new Set(hints)],
    ...(id !== undefined && { id }),
    ...(name !== undefined && { name })
  }
}

function keyless(): Error {
  const message = 'a member is named by its key, 64 hex digits'
  return refusal('INVALID_REQUEST', message, 'GET /node-info on that node tells it')
}
