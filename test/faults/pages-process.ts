// Damages copies of a log and opens each, as a node does (pages.test.ts): in a process of its own, because
// damaged pages may end it. Takes one order per line of stdin, as JSON, and answers with one line. Arguments: the folder
// whose `log` is copied, one that is not used, the folder for copies.

import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { present } from '../../lib/assert.ts'
import { AspenError } from '../../lib/errors.ts'
import { LmdbDamagedLog } from '../../lib/log-store/lmdb-damaged-log.ts'
import { LmdbLogStore } from '../../lib/log-store/lmdb-log-store.ts'
import type { LogStore, OpenedLog } from '../../lib/log-store/log-store.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import { systemRandom } from '../../lib/random.ts'
import { durably, entriesAfter, GENESIS, plain } from '../log-store/log-samples.ts'
import type { Damage } from './damage.ts'
import { damageFile } from './damage.ts'

export interface PagesOrder {
  readonly damage: Damage
  /** whether others have the entries that cannot be read */
  readonly hasOthers: boolean
}

/** What came of it. */
export type PagesEnd =
  | { readonly kind: 'kept' }
  /** its file was made anew, and nothing is missing */
  | { readonly kind: 'mended' }
  /** others gave back what was missing */
  | { readonly kind: 'repaired' }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  | { readonly kind: 'broken'; readonly message: string }

const ALL_BYTES = 2 ** 30
const template = present(process.argv[2], 'the folder that is copied')
const scratch = present(process.argv[4], 'the folder for copies')

/** All that a log is. */
interface Contents {
  readonly text: string
  readonly entries: readonly Entry[]
}

function contentsOf({ store, restored }: OpenedLog<LogStore>): Contents {
  const entries = store.entries(store.base.index + 1, store.last.index + 1, ALL_BYTES)
  const { hardState, configurations } = restored
  const shape = {
    hardState,
    configurations: configurations.map(({ index }) => index),
    base: store.base.index,
    last: store.last.index,
    time: store.baseTimeMs
  }
  return { text: [JSON.stringify(shape), ...entries.map(plain)].join('\n'), entries }
}

async function openAt(folder: string, onMended = (): void => {}): Promise<OpenedLog<LmdbLogStore>> {
  return await LmdbLogStore.open({
    directory: join(folder, 'log'),
    genesis: GENESIS,
    mustExist: true,
    random: systemRandom,
    onMended,
    onFailed
  })
}

function onFailed(error: AspenError): void {
  throw error
}

/** The whole log. */
const whole = await inCopy(async (folder) => {
  const opened = await openAt(folder)
  const contents = contentsOf(opened)
  await opened.store.close()
  return contents
})

async function inCopy<T>(act: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(scratch, 'copy-'))
  cpSync(template, folder, { recursive: true })
  const result = await act(folder)
  rmSync(folder, { recursive: true })
  return result
}

async function endOf(folder: string, { damage, hasOthers }: PagesOrder): Promise<PagesEnd> {
  damageFile(folder, damage)
  let kind: 'kept' | 'mended' | 'repaired' = 'kept'
  try {
    const opened = await openAt(folder, () => {
      kind = 'mended'
    })
    return await used(folder, opened, kind)
  } catch (error) {
    const isEntry = error instanceof AspenError && error.detail.fields?.['index'] !== undefined
    if (!isEntry || !hasOthers) throw error
    await repair(folder)
  }
  return await used(folder, await openAt(folder), 'repaired')
}

/** Everything that cannot be read comes from the whole log. */
async function repair(folder: string): Promise<void> {
  const log = await LmdbDamagedLog.open({
    directory: join(folder, 'log'),
    genesis: GENESIS,
    onFailed
  })
  for (let damaged = log.damaged.at(-1); damaged !== undefined; damaged = log.damaged.at(-1)) {
    const { index } = damaged
    const at = whole.entries.findIndex((entry) => entry.index === index)
    const entry = present(whole.entries[at], 'the entry')
    const previousHash = whole.entries[at - 1]?.hash ?? log.base.hash
    await new Promise<void>((resolve) => {
      if (!log.repair(entry, previousHash, resolve)) throw new Error(`entry ${index} is not taken`)
    })
  }
  await log.close()
}

/** It holds what it did, takes writes, and holds them over another start. */
async function used(
  folder: string,
  opened: OpenedLog<LmdbLogStore>,
  kind: 'kept' | 'mended' | 'repaired'
): Promise<PagesEnd> {
  const found = contentsOf(opened)
  const { store } = opened
  if (found.text !== whole.text) {
    await store.close()
    return { kind: 'broken', message: `another log: ${found.text.slice(0, 200)}` }
  }
  for (let round = 0; round < ROUNDS; round++) {
    const payloadBytes = (round * 701) % 9_000
    await durably(store, {
      entries: entriesAfter(store.last, { count: 3, term: 99, payloadBytes })
    })
  }
  await new Promise<void>((resolve) => {
    store.compact(store.last.index - 10, resolve)
  })
  const written = contentsOf({ ...opened })
    .entries.map(plain)
    .join()
  await store.close()
  const again = await openAt(folder)
  const isSame = contentsOf(again).entries.map(plain).join() === written
  await again.store.close()
  return isSame ? { kind } : { kind: 'broken', message: 'what was written is gone' }
}

const ROUNDS = 15

for await (const line of createInterface({ input: process.stdin })) {
  const order: PagesOrder = JSON.parse(line)
  const end = await inCopy((folder) =>
    endOf(folder, order).catch((error: unknown): PagesEnd => {
      if (!(error instanceof AspenError)) throw error
      return { kind: 'refused', code: error.code, message: error.message }
    })
  )
  process.stdout.write(`${JSON.stringify(end)}\n`)
}
