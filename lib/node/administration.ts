// What can be asked of this process and of its disk, and of no other node's.

import type { Logger } from 'pino'
import { ControlPlaneError } from '../errors.ts'
import type { CheckpointAnswer } from '../service/cluster-documents.ts'
import type { NodeAdmin } from '../service/node-api.ts'
import type { SqliteStateMachine } from '../state-machine/sqlite-state-machine.ts'
import { setLogLevel } from '../config/log-level.ts'

/** `stateMachine`: null where nothing is in SQLite. */
export function administrationOf(
  logger: Pick<Logger, 'level' | 'info'>,
  stateMachine: Pick<SqliteStateMachine, 'checkpoint'> | null
): NodeAdmin {
  return {
    setLogLevel: (level) => setLogLevel(logger, level),
    checkpoint: async () => {
      if (stateMachine === null) throw noDatabase()
      return await new Promise((resolve, reject) => {
        stateMachine.checkpoint((report) => {
          if (report === null) return reject(closed())
          const { pageCount, before, after } = report
          resolve({
            status: 'success',
            pages_checkpointed: pageCount,
            wal_size_before_bytes: before.byteCount,
            wal_size_after_bytes: after.byteCount,
            wal_pending_before_bytes: before.pendingByteCount,
            wal_pending_after_bytes: after.pendingByteCount
          } satisfies CheckpointAnswer)
        })
      })
    }
  }
}

function noDatabase(): ControlPlaneError {
  return new ControlPlaneError({
    code: 'INVALID_REQUEST',
    message: 'this node keeps its state in memory: there is no write-ahead log to checkpoint'
  })
}

function closed(): ControlPlaneError {
  const message = 'the checkpoint did not come to its end: the database was closed or has failed'
  return new ControlPlaneError({ code: 'UNAVAILABLE', message })
}
