// `GET /admin/survey` and `GET /admin/backup`. A backup is a body of its own type, which leaves as slowly as
// it is taken. Whoever takes nothing for BACKUP_STALL_MS is cut off: what is ready waits on the node's disk.

import { Readable } from 'node:stream'
import type { ServerResponse } from 'node:http'
import { Type } from '@sinclair/typebox'
import { BACKUP_MAKING_MS, BACKUP_STALL_MS, DEFAULT_REQUEST_TIMEOUT_MS } from '../limits.ts'
import { ErrorBody, Survey } from '../service/documents.ts'
import type { NodeApi } from '../service/node-api.ts'
import type { App } from './app.ts'
import { exchangeOf, placeOf } from './app.ts'
import { NoQuery, ReadQuery, timeoutFrom } from './query.ts'

export const BACKUP_TYPE = 'application/vnd.aspen.backup'

export function addBackupRoutes(app: App, api: Pick<NodeApi, 'backup' | 'survey'>): void {
  app.route({
    method: 'GET',
    url: '/admin/survey',
    schema: {
      summary: 'Who is in reach, and what each has of the log',
      tags: ['admin'],
      querystring: NoQuery,
      response: { 200: Survey, default: ErrorBody }
    },
    handler: async (request) => placeOf(request).run(DEFAULT_REQUEST_TIMEOUT_MS, () => api.survey())
  })
  app.route({
    method: 'GET',
    url: '/admin/backup',
    exposeHeadRoute: false,
    schema: {
      summary: 'A backup of everything but secrets',
      tags: ['admin'],
      querystring: ReadQuery,
      produces: [BACKUP_TYPE],
      response: {
        200: Type.Unsafe<Readable>({ type: 'string', format: 'binary' }),
        default: ErrorBody
      }
    },
    handler: async (request, reply) => {
      const timeoutMs = timeoutFrom(request.query.timeout_ms)
      const consistency = request.query.consistency ?? 'linearizable'
      const backup = await placeOf(request).run(timeoutMs + BACKUP_MAKING_MS, () =>
        api.backup({ timeoutMs, consistency })
      )
      const closed = (): void => void backup.close() // nothing is written to it, so nothing is lost
      exchangeOf(request).onEnd(closed)
      cutOffWhenStalled(reply.raw)
      reply.type(BACKUP_TYPE).header('content-length', backup.byteCount)
      // its socket keeps other times than those of requests
      reply.header('connection', 'close')
      return reply.send(Readable.from(backup.pieces(), { objectMode: false }))
    }
  })
}

/** The socket's own clock: it is set back by each piece that leaves. */
function cutOffWhenStalled(response: ServerResponse): void {
  const { socket } = response
  if (socket === null) return
  socket.setTimeout(BACKUP_STALL_MS, () => void response.destroy())
}
