// A backup is made in a thread with little memory, however much history waits to be deleted.

import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import test from 'brittle'
import { REVISION_STRIDE } from '../../lib/limits.ts'
import { createTables, sealedRow, writeMeta } from '../../lib/state-machine/sqlite-schema.ts'
import { openForFilling } from '../../lib/state-machine/sqlite-connection.ts'
import {
  insertKeyRow,
  insertRow,
  prepareRowStatements
} from '../../lib/state-machine/sqlite-writer.ts'
import { appliedAtGenesis } from '../../lib/state-machine/apply-entry.ts'
import { contentWith, EMPTY_CONTENT } from '../../lib/state-machine/state-hash.ts'
import { isThreadMessage } from '../../lib/state-machine/snapshot-task.ts'
import type { TaskAnswer, ThreadData } from '../../lib/state-machine/snapshot-task.ts'
import { GENESIS, asBytes, databaseIn } from './samples.ts'

const ROW_COUNT = 300_000
/** beyond what V8 keeps without memory of its own */
const FIRST_REVISION = 4_000_000
const HEAP_MIB = 20

test(
  'a backup holds little in memory of history that is forgotten',
  { timeout: 180_000 },
  async (t) => {
    const directory = await t.tmp()
    mkdirSync(join(directory, 'state'))
    const database = databaseIn(directory)
    fill(database)
    const target = join(directory, 'target')
    const answer = await answerOf({ kind: 'backup', database, target, maxReadMs: 600_000 })
    t.is(answer.kind, 'backedUp', 'message' in answer ? answer.message : '')
    t.ok(statSync(target).size < 10_000, 'only the newest row of the key is in it')
  }
)

/** One key, overwritten again and again; all of it is forgotten, and nothing is deleted yet. */
function fill(path: string): void {
  const { connection, finish } = openForFilling(path)
  connection.exec('BEGIN')
  createTables(connection)
  const statements = prepareRowStatements(connection)
  const [key, value] = [asBytes('k'), asBytes('v')]
  const last = FIRST_REVISION + ROW_COUNT - 1
  let superseded = 0
  let hash = new Uint8Array(0)
  for (let revision = FIRST_REVISION; revision <= last; revision++) {
    const version = revision - FIRST_REVISION + 1
    const id = revision * REVISION_STRIDE
    const row = { id, superseded, createRevision: FIRST_REVISION, version, key, value }
    hash = new Uint8Array(insertRow(statements, row))
    superseded = id
  }
  const state = { rowId: superseded, createRevision: FIRST_REVISION, version: ROW_COUNT, hash }
  insertKeyRow(statements, { key, ...state, valueBytes: value.byteLength })
  writeMeta(connection, {
    genesisHash: GENESIS.hash,
    applied: {
      ...appliedAtGenesis(GENESIS),
      ...contentWith(EMPTY_CONTENT, hash, 2),
      index: last + 1,
      compactedRevision: last
    },
    epoch: 0,
    nextNodeId: 1,
    forgottenIndex: 0
  })
  connection.prepare<[Uint8Array]>('UPDATE meta SET compacted_row = ?').run(sealedRow(0))
  connection.exec('COMMIT')
  finish()
}

/** Of a thread with less memory than those of a node. */
function answerOf(task: ThreadData['task']): Promise<TaskAnswer> {
  const cancelled = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
  const workerData: ThreadData = { task, cancelled, heard: null }
  const file = new URL('../../lib/state-machine/snapshot-worker.js', import.meta.url)
  const resourceLimits = { maxOldGenerationSizeMb: HEAP_MIB, maxYoungGenerationSizeMb: 4 }
  return new Promise((resolve, reject) => {
    const worker = new Worker(file, { workerData, resourceLimits })
    worker.once('error', reject)
    worker.on('message', (message: unknown) => {
      if (isThreadMessage(message) && message.kind !== 'boundary') resolve(message)
    })
  })
}
