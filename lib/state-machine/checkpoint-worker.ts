// The thread that checkpoints: it copies the write-ahead log into the database file and syncs both,
// which takes as long as the disk takes, while the event loop goes on. Each message that it gets asks
// for one thing and is answered: `checkpoint` with what it has done, `open` with null when the file is open;
// or with the detail of a StorageError. The message `end` ends it.

import { parentPort, workerData } from 'node:worker_threads'
import { assert, present } from '../assert.ts'
import type { ErrorDetail } from '../errors.ts'
import type { CheckpointReport, Connection } from './sqlite-connection.ts'
import { checkpoint, openForCheckpoint } from './sqlite-connection.ts'
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
    port.postMessage(answerTo(message, path))
  }
})

function answerTo(message: unknown, database: string): CheckpointReport | ErrorDetail | null {
  try {
    connection ??= openForCheckpoint(database)
    return message === 'open' ? null : checkpoint(connection)
  } catch (error) {
    return storageErrorOf(error, 'cannot checkpoint the state machine', 'Execute').detail
  }
}
