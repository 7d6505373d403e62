// A cluster of one that is made, writes, ends, starts again and writes again, all in this process, to
// be run under a recorder of system calls. Before each write it notes in the file of its second
// argument what it is about to put, and after the acknowledgement with which revision, and what state
// the node is in: in the record these notes tell what was promised at each moment.
//
// With a third argument it writes a backup to that file before it ends.
//
//   try SERIAL KEY            about to put value SERIAL
//   put SERIAL KEY REVISION   acknowledged
//   at INDEX HASH             the state hash at that index
//   is ID CLUSTER             who the node is

import { createWriteStream, openSync, writeSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { present } from '../../lib/assert.ts'
import { createLogger } from '../../lib/node/log.ts'
import { AspenNode } from '../../lib/node/node.ts'
import { valueOf } from './promises.ts'
import { SMALL_STORAGE } from './small-storage.ts'

const dataDir = present(process.argv[2], 'the data directory')
const notes = openSync(present(process.argv[3], 'the file of the notes'), 'a')
const backupPath = process.argv[4]
const PUTS_PER_LIFE = 30
const KEY_COUNT = 5
let serial = 0

await live('create')
await live('start')

async function live(kind: 'create' | 'start'): Promise<void> {
  const node = await AspenNode.open({
    intent: { kind },
    dataDir,
    name: 'alder',
    bootstrap: [],
    port: null,
    httpPort: null,
    timing: 'lan',
    storage: SMALL_STORAGE,
    logger: createLogger({ level: 'error', destination: 'ndjson' }),
    onProgress: () => {}
  })
  const { node: self, cluster } = node.status()
  note(`is ${self.id} ${cluster.id}`)
  for (let count = 0; count < PUTS_PER_LIFE; count++) {
    serial++
    const key = `k${serial % KEY_COUNT}`
    note(`try ${serial} ${key}`)
    const { revision } = await node.kv.put(key, valueOf(serial), { timeoutMs: 30_000 })
    note(`put ${serial} ${key} ${revision}`)
    const { applied_index: index, state_hash: hash } = node.status()
    note(`at ${index} ${hash}`)
  }
  if (kind === 'start' && backupPath !== undefined) {
    const backup = await node.backup()
    await pipeline(Readable.from(backup.pieces()), createWriteStream(backupPath))
    await backup.close()
  }
  await node.close()
}

function note(line: string): void {
  writeSync(notes, `${line}\n`)
}
