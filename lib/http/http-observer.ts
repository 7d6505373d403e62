// What the HTTP server tells of its requests, to be counted. Routes are templates (`/kv/:key`), so there are
// as many as the program has.

import type { FastifyRequest } from 'fastify'
import type { App } from './app.ts'

export interface HttpObserver {
  /** there is such a route */
  onRoute(route: string, method: string): void
  onAnswered(answered: HttpAnswered): void
}

export interface HttpAnswered {
  readonly route: string
  readonly method: string
  readonly status: number
  readonly durationMs: number
}

/** Before any route. */
export function observeApp(app: App, observer: HttpObserver): void {
  app.addHook('onRoute', ({ url, method, config }) => {
    if (config !== undefined && 'isOtherMethod' in config) return
    for (const one of [method].flat()) observer.onRoute(url, one)
  })
  app.addHook('onResponse', async (request, reply) => {
    observer.onAnswered({
      route: routeOf(request),
      method: METHODS.has(request.method) ? request.method : 'other',
      status: reply.statusCode,
      durationMs: reply.elapsedTime
    })
  })
}

/** What asks for no route of ours counts as one. */
function routeOf({ is404, routeOptions }: FastifyRequest): string {
  return is404 ? 'none' : (routeOptions.url ?? 'none')
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])
