// A thread that lives for one checkpoint: it copies the write-ahead log into the database file and
// syncs both, which takes as long as the disk takes, while the event loop goes on. PASSIVE waits for
// nobody and makes nobody wait.

import { parentPort, workerData } from 'node:worker_threads'
import { assert, present } from '../assert.ts'
import { checkpoint, openForCheckpoint } from './sqlite-database.ts'
import { storageErrorOf } from './sqlite-errors.ts'

const port = present(parentPort, 'the port of the parent thread')
const path: unknown = workerData
assert(typeof path === 'string', 'a checkpoint is told the path of the database')

try {
  const connection = openForCheckpoint(path)
  try {
    checkpoint(connection, 'PASSIVE')
  } finally {
    connection.close()
  }
} catch (error) {
  port.postMessage(storageErrorOf(error, 'cannot checkpoint the state machine').detail)
}
