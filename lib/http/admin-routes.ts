// `/admin/checkpoint` and `/admin/log-level`: of the process and the disk of this node.

import * as documents from '../service/cluster-documents.ts'
import { ErrorBody } from '../service/documents.ts'
import type { NodeAdmin } from '../service/node-api.ts'
import { DEFAULT_REQUEST_TIMEOUT_MS } from '../limits.ts'
import type { App } from './app.ts'
import { placeOf } from './app.ts'

export function addAdminRoutes(app: App, admin: NodeAdmin): void {
  const checkpoint = {
    summary: 'Copy the write-ahead log of the database on this node into it',
    tags: ['admin'],
    body: documents.TimedBody,
    response: { 200: documents.CheckpointAnswer, default: ErrorBody }
  }
  const config = { mayLackBody: true }
  app.route({
    method: 'POST',
    url: '/admin/checkpoint',
    schema: checkpoint,
    config,
    handler: async (request) => {
      const { timeout_ms: timeoutMs = DEFAULT_REQUEST_TIMEOUT_MS } = request.body
      return placeOf(request).run(timeoutMs, () => admin.checkpoint())
    }
  })

  const logLevel = {
    summary: 'Change how much this node logs, until it ends or reads its configuration again',
    tags: ['admin'],
    body: documents.LogLevelBody,
    response: { 200: documents.LogLevelAnswer, default: ErrorBody }
  }
  app.route({
    method: 'POST',
    url: '/admin/log-level',
    schema: logLevel,
    handler: async (request) => admin.setLogLevel(request.body.level)
  })
}
