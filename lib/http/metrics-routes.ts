// `/metrics`, for Prometheus: text, from memory, to anybody who reaches the port (http/README.md). Since anybody may
// ask as often as he likes, all who ask in one turn of the event loop get one text.

import { METRICS_CONTENT_TYPE } from '../service/metrics.ts'
import { Type } from '@sinclair/typebox'
import { ErrorBody } from '../service/documents.ts'
import type { NodeApi } from '../service/node-api.ts'
import type { App } from './app.ts'
import { Slice } from './slice.ts'

export function addMetricsRoute(app: App, api: Pick<NodeApi, 'metrics'>): void {
  let ofThisTurn: Promise<string> | null = null
  const text = (): Promise<string> => {
    if (ofThisTurn !== null) return ofThisTurn
    void new Slice().next().then(() => (ofThisTurn = null)) // it never fails
    ofThisTurn = api.metrics()
    return ofThisTurn
  }
  app.route({
    method: 'GET',
    url: '/metrics',
    schema: {
      summary: 'Metrics for Prometheus',
      tags: ['node'],
      produces: ['text/plain'],
      response: { 200: Type.String(), default: ErrorBody }
    },
    config: { isFromMemory: true },
    handler: async (_request, reply) => reply.type(METRICS_CONTENT_TYPE).send(await text())
  })
}
