// Makes the state of a stopped node another one, whole in itself: a machine that computes wrongly does so,
// and no hash of its own notices it.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { present } from '../../lib/assert.ts'
import { contentHash, revisionOf, sealOf } from '../../lib/state-machine/revision-row.ts'
import { openWriter } from '../../lib/state-machine/sqlite-connection.ts'
import type { Connection } from '../../lib/state-machine/sqlite-connection.ts'
import { keySeal } from '../../lib/state-machine/sqlite-keys.ts'
import { bytes, readHead, sealedHead } from '../../lib/state-machine/sqlite-schema.ts'
import { contentAfter } from '../../lib/state-machine/state-hash.ts'

type Row = readonly [
  id: number,
  superseded: number,
  createRevision: number,
  version: number,
  key: Buffer,
  value: Buffer,
  hash: Buffer
]

const FIRST_ROW = `
  SELECT r.id, r.superseded, r.create_revision, r.version, r.key, r.value, k.hash
  FROM keys AS k JOIN revisions AS r ON r.id = k.row
  WHERE length(r.value) > 0 ORDER BY k.key`

/** Flips a bit of the first live value, and makes every hash fit. */
export function divergeState(dataDir: string): void {
  const folder = join(dataDir, 'state')
  const name = present(
    readdirSync(folder).find((each) => each.endsWith('.db')),
    'a database'
  )
  const connection = openWriter(join(folder, name))
  try {
    connection.exec('BEGIN IMMEDIATE')
    flipFirst(connection)
    connection.exec('COMMIT')
  } finally {
    connection.close()
  }
}

function flipFirst(connection: Connection): void {
  const found = connection.prepare<[], Row>(FIRST_ROW).raw().get()
  const [id, superseded, createRevision, version, key, value, before] = present(found, 'a live row')
  const flipped = Uint8Array.from(value)
  flipped[0] = (flipped[0] ?? 0) ^ 1
  const row = { id, superseded, createRevision, version, key: bytes(key), value: flipped }
  const hash = contentHash(row)
  const run = (statement: string, ...values: (Uint8Array | number)[]): void => {
    connection.prepare<(Uint8Array | number)[]>(statement).run(...values)
  }
  run('UPDATE revisions SET value = ?, seal = ? WHERE id = ?', flipped, sealOf(row, hash), id)
  const after = {
    key: row.key,
    rowId: id,
    createRevision,
    version,
    valueBytes: value.byteLength,
    hash
  }
  run('UPDATE keys SET hash = ?, seal = ? WHERE row = ?', hash, keySeal(after), id)
  const head = readHead(connection)
  const modRevision = revisionOf(id)
  const previous = { rowId: id, createRevision, modRevision, version, hash: bytes(before) }
  const change = { ...row, ordinal: 0, previous: { ...previous, valueBytes: value.byteLength } }
  const applied = { ...head.applied, ...contentAfter(head.applied, change, hash) }
  run('UPDATE meta SET head = ?', sealedHead({ ...head, applied }))
}
