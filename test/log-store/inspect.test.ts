// A log that is looked at and not opened.

import { readdirSync, readlinkSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'brittle'
import { inspectLog } from '../../lib/log-store/inspect.ts'
import { LOG_DATA_FILE } from '../../lib/log-store/lmdb-environment.ts'
import { LmdbLogStore } from '../../lib/log-store/lmdb-log-store.ts'
import { SeededRandom } from '../../lib/random.ts'
import { durably, entriesAfter, GENESIS } from './log-samples.ts'

const PAGE_BYTES = 4_096

test('whatever page is damaged, it is told, and the file is closed', async (t) => {
  const root = await t.tmp()
  const whole = join(root, 'whole')
  const { store } = await LmdbLogStore.open({
    directory: whole,
    genesis: GENESIS,
    random: new SeededRandom(5),
    onFailed: (error) => t.fail(error.message)
  })
  await durably(store, { entries: entriesAfter(GENESIS, { count: 20 }) })
  await store.close()
  const bytes = await readFile(join(whole, LOG_DATA_FILE))
  let toldCount = 0
  for (let page = 2; page * PAGE_BYTES < bytes.byteLength; page++) {
    const directory = join(root, `page-${page}`)
    await mkdir(directory)
    const damaged = Uint8Array.from(bytes)
    damaged.fill(0, page * PAGE_BYTES, (page + 1) * PAGE_BYTES)
    await writeFile(join(directory, LOG_DATA_FILE), damaged)
    try {
      const log = inspectLog({ directory, genesis: GENESIS, nowMs: () => 0 })
      if (log.faults.length > 0) toldCount++
      await log.close()
    } catch (error) {
      t.comment(`page ${page}: ${String(error)}`)
      toldCount++
    }
    const opened = openFilesIn(directory)
    if (opened.length > 0) t.fail(`page ${page}: ${opened.join()} is open`)
  }
  t.ok(toldCount > 0, `${toldCount} pages`)
})

function openFilesIn(directory: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((name) => {
    try {
      const path = readlinkSync(join('/proc/self/fd', name))
      return path.startsWith(directory) ? [path] : []
    } catch {
      return [] // the one that lists them
    }
  })
}
