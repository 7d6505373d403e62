// The probes of service managers: `/livez`, `/readyz` and each check of theirs by itself, `/health`. JSON;
// with `?verbose` as lines for people. They answer without a token (guard.ts).

import { Type } from '@sinclair/typebox'
import type { FastifyReply } from 'fastify'
import { ErrorBody, Health, Probe, READY_CHECKS } from '../service/documents.ts'
import type { ReadyCheck } from '../service/documents.ts'
import type { NodeApi } from '../service/node-api.ts'
import type { App } from './app.ts'
import { refusal } from './error-body.ts'

type ProbesApi = Pick<NodeApi, 'health' | 'livez' | 'readyz'>

export function addProbeRoutes(app: App, api: ProbesApi): void {
  addHealth(app, api)
  addLivez(app, api)
  addReadyz(app, api)
}

function addHealth(app: App, api: ProbesApi): void {
  const schema = {
    summary: 'How this node is; 503 when unhealthy',
    tags: ['node'],
    response: { 200: Health, 503: Health, default: ErrorBody }
  }
  app.route({
    method: 'GET',
    url: '/health',
    schema,
    config: { isFromMemory: true },
    handler: async (_request, reply) => {
      const answer = api.health()
      return reply.code(answer.status === 'unhealthy' ? 503 : 200).send(answer)
    }
  })
}

function addLivez(app: App, api: ProbesApi): void {
  const config = { isFromMemory: true }
  app.route({
    method: 'GET',
    url: '/livez',
    schema: {
      summary: 'Whether this process works',
      tags: ['node'],
      querystring: ProbeQuery,
      response
    },
    config,
    handler: async (request, reply) => {
      const { exclude, verbose } = request.query
      const probe = api.livez()
      const known = Object.keys(probe.checks)
      const asked = withOnly(probe, chosen(known, exclude))
      return send(reply, { probe: asked, name: 'livez', isText: verbose !== undefined })
    }
  })
  app.route({
    method: 'GET',
    url: '/livez/:check',
    schema: {
      summary: 'One check of it',
      tags: ['node'],
      params: CheckName,
      querystring: ProbeQuery,
      response
    },
    config,
    handler: async (request, reply) => {
      const probe = api.livez()
      const check = oneOf(Object.keys(probe.checks), request.params.check)
      const isText = request.query.verbose !== undefined
      return send(reply, { probe: withOnly(probe, [check]), name: 'livez', isText })
    }
  })
}

/** They take no place among the requests in progress: anybody may ask, and one answer serves all. */
function addReadyz(app: App, api: ProbesApi): void {
  const config = { isFromMemory: true }
  app.route({
    method: 'GET',
    url: '/readyz',
    schema: {
      summary: 'Whether requests would succeed here now',
      tags: ['node'],
      querystring: ProbeQuery,
      response
    },
    config,
    handler: async (request, reply) => {
      const { exclude, verbose } = request.query
      const checks = chosen(READY_CHECKS, exclude)
      const probe = await api.readyz(checks)
      return send(reply, { probe, name: 'readyz', isText: verbose !== undefined })
    }
  })
  app.route({
    method: 'GET',
    url: '/readyz/:check',
    schema: {
      summary: 'One check of it',
      tags: ['node'],
      params: CheckName,
      querystring: ProbeQuery,
      response
    },
    config,
    handler: async (request, reply) => {
      const checks = [oneOf<ReadyCheck>(READY_CHECKS, request.params.check)]
      const probe = await api.readyz(checks)
      const isText = request.query.verbose !== undefined
      return send(reply, { probe, name: 'readyz', isText })
    }
  })
}

const response = { 200: Probe, 503: Probe, default: ErrorBody }

const ProbeQuery = Type.Object(
  {
    /** names of checks, as several parameters or with commas between them */
    exclude: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())])),
    verbose: Type.Optional(Type.String())
  },
  { additionalProperties: false }
)
const CheckName = Type.Object({ check: Type.String({ minLength: 1 }) })

/** The checks that are not excluded. @throws AspenError INVALID_REQUEST for names of none */
function chosen<Check extends string>(
  known: readonly Check[],
  exclude: string | string[] = []
): readonly Check[] {
  const excluded = [exclude].flat().flatMap((names) => names.split(','))
  const unknown = excluded.find((name) => !known.some((check) => check === name))
  if (unknown !== undefined) {
    const message = `exclude: there is no check '${unknown}'; there are ${known.join(', ')}`
    throw refusal('INVALID_REQUEST', message)
  }
  return known.filter((check) => !excluded.includes(check))
}

/** @throws AspenError ROUTE_NOT_FOUND */
function oneOf<Check extends string>(known: readonly Check[], name: string): Check {
  const check = known.find((one) => one === name)
  if (check !== undefined) return check
  throw refusal('ROUTE_NOT_FOUND', `there is no such check; there are ${known.join(', ')}`)
}

function withOnly(probe: Probe, checks: readonly string[]): Probe {
  const only = <Value>(all: Readonly<Record<string, Value>>): Record<string, Value> =>
    Object.fromEntries(Object.entries(all).filter(([check]) => checks.includes(check)))
  const left = only(probe.checks)
  return { ok: Object.values(left).every(Boolean), checks: left, reasons: only(probe.reasons) }
}

interface Answer {
  readonly probe: Probe
  readonly name: string
  readonly isText: boolean
}

function send(reply: FastifyReply, { probe, name, isText }: Answer): FastifyReply {
  reply.code(probe.ok ? 200 : 503)
  if (!isText) return reply.send(probe)
  return reply.type('text/plain; charset=utf-8').serializer(String).send(textOf(probe, name))
}

/** As etcd and Kubernetes write it. */
function textOf({ ok, checks, reasons }: Probe, name: string): string {
  const lines = Object.entries(checks).map(([check, isOk]) =>
    isOk ? `[+]${check} ok` : `[-]${check} failed: ${reasons[check] ?? 'not so'}`
  )
  return `${[...lines, `${name} check ${ok ? 'passed' : 'failed'}`].join('\n')}\n`
}
