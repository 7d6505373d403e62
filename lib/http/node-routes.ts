// `/status`, `/members` and `/tickets`: what a node says of itself and of its cluster.

import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { DEFAULT_REQUEST_TIMEOUT_MS, MAX_INVITE_TTL_MS, MAX_INVITE_USES } from '../limits.ts'
import { ClusterTicketAnswer } from '../service/cluster-documents.ts'
import { ErrorBody, Members, NewTicket, Status, TicketRole, Tickets } from '../service/documents.ts'
import { TimeoutMs } from '../service/kv-documents.ts'
import type { NodeApi } from '../service/node-api.ts'
import type { App } from './app.ts'
import { placeOf } from './app.ts'
import { NoQuery, TimeoutQuery, timeoutFrom } from './query.ts'

export function addNodeRoutes(app: App, api: NodeApi): void {
  addDescriptions(app, api)
  addTickets(app, api)
  addTicketRecords(app, api)
}

function addDescriptions(app: App, api: NodeApi): void {
  const config = { isFromMemory: true }
  const status = {
    summary: 'What this node is and knows',
    tags: ['node'],
    querystring: NoQuery,
    response: { 200: Status, default: ErrorBody }
  }
  app.route({
    method: 'GET',
    url: '/status',
    schema: status,
    config,
    handler: async () => api.status()
  })

  const members = {
    summary: 'Who belongs to the cluster, as this node sees them',
    tags: ['cluster'],
    querystring: NoQuery,
    response: { 200: Members, default: ErrorBody }
  }
  app.route({
    method: 'GET',
    url: '/members',
    schema: members,
    config,
    handler: async () => api.members()
  })
}

function addTickets(app: App, api: NodeApi): void {
  const create = {
    summary: 'Make a ticket that lets nodes join',
    tags: ['tickets'],
    body: TicketBody,
    response: { 200: NewTicket, default: ErrorBody }
  }
  app.route({
    method: 'POST',
    url: '/tickets',
    schema: create,
    handler: async (request) => {
      const options = ticketOptionsFrom(request.body)
      return placeOf(request).run(options.timeoutMs, () => api.createTicket(options))
    }
  })

  const seeds = {
    ...create,
    summary: 'Make a ticket, under the name and in the shape of the seed',
    response: { 200: ClusterTicketAnswer, default: ErrorBody }
  }
  app.route({
    method: 'POST',
    url: '/cluster-ticket',
    schema: seeds,
    handler: async (request) => {
      const options = ticketOptionsFrom(request.body)
      const made = await placeOf(request).run(options.timeoutMs, () => api.createTicket(options))
      const { cluster, node } = api.status()
      return {
        ...made,
        cluster_id: cluster.id,
        endpoint_id: node.key
      } satisfies ClusterTicketAnswer
    }
  })
}

function addTicketRecords(app: App, api: NodeApi): void {
  const list = {
    summary: 'The tickets of the cluster',
    tags: ['tickets'],
    querystring: TimeoutQuery,
    response: { 200: Tickets, default: ErrorBody }
  }
  app.route({
    method: 'GET',
    url: '/tickets',
    schema: list,
    handler: async (request) => {
      const timeoutMs = timeoutFrom(request.query.timeout_ms)
      return placeOf(request).run(timeoutMs, () => api.listTickets({ timeoutMs }))
    }
  })

  const revoke = {
    summary: 'Revoke a ticket, by its id or its text',
    tags: ['tickets'],

    params: Type.Object({ id: Type.String({ minLength: 1 }) }),
    querystring: TimeoutQuery,
    response: { 200: Revoked, default: ErrorBody }
  }
  app.route({
    method: 'DELETE',
    url: '/tickets/:id',
    schema: revoke,
    handler: async (request): Promise<Revoked> => {
      const { id } = request.params
      const timeoutMs = timeoutFrom(request.query.timeout_ms)
      await placeOf(request).run(timeoutMs, () => api.revokeTicket(id, { timeoutMs }))
      return { revoked: true }
    }
  })
}

const strict = { additionalProperties: false } as const

const TicketBody = Type.Object(
  {
    role: Type.Optional(TicketRole),
    ttl_ms: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_INVITE_TTL_MS })),
    uses: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_INVITE_USES })),
    timeout_ms: Type.Optional(TimeoutMs)
  },
  strict
)

function ticketOptionsFrom(body: Static<typeof TicketBody>) {
  const { role, ttl_ms: ttlMs, uses, timeout_ms: timeoutMs = DEFAULT_REQUEST_TIMEOUT_MS } = body
  return {
    timeoutMs,
    ...(role !== undefined && { role }),
    ...(ttlMs !== undefined && { ttlMs }),
    ...(uses !== undefined && { uses })
  }
}

const Revoked = Type.Object({ revoked: Type.Literal(true) }, strict)
interface Revoked {
  revoked: true
}
