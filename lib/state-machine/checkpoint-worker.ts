// The thread that checkpoints: it copies the write-ahead log into the database file and syncs both,
// which takes as long as the disk takes, while the event loop goes on. Each message that it gets asks
// for one checkpoint and is answered: null, or the detail of a StorageError; the message `end` ends it.

import { parentPort, workerData } from 'node:worker_threads'
import { assert, present } from '../assert.ts'
import type { ErrorDetail } from '../errors.ts'
import type { Connection } from './sqlite-connection.ts'
import { openForCheckpoint, prepareCheckpoint } from './sqlite-connection.ts'
import { storageErrorOf } from './sqlite-errors.ts'

const port = present(parentPort, 'the port of the parent thread')
const path: unknown = workerData
assert(typeof path === 'string', 'the thread is told the path of the database')
let connection: Connection | null = null

port.on('message', (message: unknown) => {
  if (message === 'end') {
    connection?.close()
    port.close()
  } else {
    port.postMessage(checkpointed(path))
  }
})

function checkpointed(database: string): ErrorDetail | null {
  try {
    connection ??= openForCheckpoint(database)
    prepareCheckpoint(connection, 'PASSIVE')()
    return null
  } catch (error) {
    return storageErrorOf(error, 'cannot checkpoint the state machine').detail
  }
}
