// A real node whose state machine is damaged behind its back: it ends, and its next start makes the state again.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import test from 'brittle'
import { bytesOf, textOf } from '../../lib/encoding.ts'
import { EXIT } from '../../lib/errors.ts'
import { BootstrapNode } from '../../lib/transport/dht.ts'
import { openNode } from './nodes.ts'

test(
  'after an end with a damaged state the next start has a good one',
  { timeout: 120_000 },
  async (t) => {
    const dht = await BootstrapNode.open({ host: '127.0.0.1', port: 0 })
    t.teardown(() => dht.close(), { order: 1, force: true })
    const site = { root: await t.tmp(), bootstrap: [dht.address] }
    const first = await openNode(site, { kind: 'create' }, { name: 'a' })
    const key = bytesOf('k')
    await first.kv.put(key, 'kept')
    const folder = join(site.root, 'a', 'state')
    const database = new Database(join(folder, '0.db'))
    t.is(database.prepare("UPDATE revisions SET value = x'00' WHERE key = ?").run(key).changes, 1)
    database.close()
    await first.kv.get(key).catch(() => {})
    t.is(await first.closed, EXIT.integrity)
    t.ok(readdirSync(folder).includes('0.db-suspect'))

    const second = await openNode(site, { kind: 'start' }, { name: 'a' })
    t.teardown(() => second.close(), { force: true })
    const { item } = await second.kv.get(key)
    t.is(item && textOf(item.value), 'kept')
    t.absent(existsSync(join(folder, '0.db-suspect')))
  }
)
