// A cluster of one that is made, writes, ends, starts again and writes again, all in this process, to
// be run under a recorder of system calls. Before each write it notes in the file of its second
// argument what it is about to put, and after the acknowledgement with which revision, and what state
// the node is in: in the record these notes tell what was promised at each moment.
//
//   try SERIAL KEY            about to put value SERIAL
//   put SERIAL KEY REVISION   acknowledged
//   at INDEX HASH             the state hash at that index
//   is ID CLUSTER             who the node is

import { openSync, writeSync } from 'node:fs'
import { present } from '../../lib/assert.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { createLogger } from '../../lib/node/log.ts'
import { AspenNode } from '../../lib/node/node.ts'
import type { Intent } from '../../lib/node/options.ts'
import { valueOf } from './promises.ts'
import { SMALL_STORAGE } from './small-storage.ts'

const dataDir = present(process.argv[2], 'the data directory')
const notes = openSync(present(process.argv[3], 'the file of the notes'), 'a')
const PUTS_PER_LIFE = 30
const KEY_COUNT = 5
let serial = 0

await live('create')
await live('start')

async function live(kind: Exclude<Intent['kind'], 'join'>): Promise<void> {
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
    const command = {
      kind: 'put',
      key: bytesOf(key),
      value: valueOf(serial),
      condition: null
    } as const
    const { revision } = await node.kv.write({ changes: [command] }, { timeoutMs: 30_000 })
    note(`put ${serial} ${key} ${revision}`)
    const { applied_index: index, state_hash: hash } = node.status()
    note(`at ${index} ${hash}`)
  }
  await node.close()
}

function note(line: string): void {
  writeSync(notes, `${line}\n`)
}
