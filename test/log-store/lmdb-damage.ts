// Damage to the files of a log on lmdb.

import { open as openFile } from 'node:fs/promises'
import { join } from 'node:path'
import { open as openLmdb } from 'lmdb'
import { assert, present } from '../../lib/assert.ts'
import { encodeEntry, ENTRY_HEADER_BYTES } from '../../lib/log-store/encoding.ts'
import {
  BASE_CONFIGURATION_KEY,
  LOG_DATA_FILE,
  STATE_KEY
} from '../../lib/log-store/lmdb-environment.ts'
import { entriesAfter, GENESIS } from './log-samples.ts'

/** The record of entry `index` of a log that `entriesAfter` the genesis made. */
export function recordOf(index: number): Uint8Array {
  const entries = entriesAfter(GENESIS, { count: index })
  const previous = entries.at(-2) ?? GENESIS
  return encodeEntry(present(entries.at(-1), 'an entry'), previous.hash)
}

type Raw = ReturnType<typeof rawDatabase>

function rawDatabase(directory: string, name: string) {
  const binary = { keyEncoding: 'binary', encoding: 'binary' } as const
  const root = openLmdb<Uint8Array, Uint8Array>({
    path: directory,
    noSubdir: false,
    overlappingSync: false,
    maxDbs: 4,
    mapSize: 2 ** 30,
    ...binary
  })
  const database = root.openDB<Uint8Array, Uint8Array>({ name, ...binary })
  return { root, database }
}

/** Changes the entries of a closed log. */
export async function editEntries(
  directory: string,
  edit: (entries: Raw['database']) => Promise<unknown>
): Promise<void> {
  const { root, database } = rawDatabase(directory, 'entries')
  await edit(database)
  await root.close()
}

/** Changes or removes copies of the state of a closed log. */
export async function editState(
  directory: string,
  names: readonly string[],
  edit: (record: Uint8Array) => Uint8Array | null
): Promise<void> {
  await editCopies({ directory, names, key: STATE_KEY }, edit)
}

/** Changes or removes copies of the configuration at the base of a closed log. */
export async function editBaseConfiguration(
  directory: string,
  names: readonly string[],
  edit: (record: Uint8Array) => Uint8Array | null
): Promise<void> {
  await editCopies({ directory, names, key: BASE_CONFIGURATION_KEY }, edit)
}

interface Copies {
  readonly directory: string
  readonly names: readonly string[]
  readonly key: Uint8Array
}

async function editCopies(
  { directory, names, key }: Copies,
  edit: (record: Uint8Array) => Uint8Array | null
): Promise<void> {
  for (const name of names) {
    const { root, database } = rawDatabase(directory, name)
    const edited = edit(present(database.getBinary(key), 'a record'))
    if (edited === null) await database.remove(key)
    else await database.put(key, edited)
    await root.close()
  }
}

export function flipLastByte(record: Uint8Array): Uint8Array {
  const flipped = Uint8Array.from(record)
  flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1
  return flipped
}

/** Flips one bit in the payload of an entry that `recordOf` knows; the log may be open. */
export async function damageEntry(directory: string, index: number): Promise<void> {
  const file = await openFile(join(directory, LOG_DATA_FILE), 'r+')
  const bytes = await file.readFile()
  const record = recordOf(index)
  let found = bytes.indexOf(record)
  assert(found > 0, 'the record lies in the file')
  // a page that was split may still hold a copy of what it has no more
  for (; found > 0; found = bytes.indexOf(record, found + 1)) {
    const at = found + ENTRY_HEADER_BYTES + 10
    await file.write(Uint8Array.of(present(bytes[at], 'a byte') ^ 1), 0, 1, at)
  }
  await file.close()
}
