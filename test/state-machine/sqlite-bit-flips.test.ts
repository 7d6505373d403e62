// Flipped bits of the file, at rest: what is made of it afterwards is what a good disk would have given, or
// CORRUPTED, and nothing else.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import test from 'brittle'
import type { Assert } from 'brittle'
import { present } from '../../lib/assert.ts'
import { AspenError } from '../../lib/errors.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import type { Change } from '../../lib/state-machine/command.ts'
import type { SqliteStateMachine } from '../../lib/state-machine/sqlite-state-machine.ts'
import { LogMaker, applied, asBytes, databaseIn, del, openSqlite, put } from './samples.ts'

const LIMIT = { timeout: 300_000 }
const PAGE_BYTES = 4_096
const FEW = ['d', 'h', 'm', 'q', 'u']
/** More than one page has room for: the first page of the table says where the others are. */
const MANY = Array.from({ length: 150 }, (_, at) => `k${1_000 + 10 * at}`)

test('a flipped bit in a row of keys is damage', LIMIT, async (t) => {
  const before = await prepared(t, FEW)
  const { places } = keysIn(before)
  const damageCount = await damageIn(t, before, places)
  t.ok(damageCount > FEW.length * 50, `${damageCount} of ${places.length} flips are damage`)
})

test('so is one in a key by which others are found', LIMIT, async (t) => {
  const before = await prepared(t, MANY)
  const { places, isBranch } = keysIn(before)
  t.ok(isBranch)
  const damageCount = await damageIn(t, before, places)
  t.ok(damageCount > 50, `${damageCount} of ${places.length} flips are damage`)
})

test('so is one in the schema', LIMIT, async (t) => {
  const before = await prepared(t, FEW)
  const used = [...before.bytes.subarray(0, PAGE_BYTES).keys()].filter(
    (at) => at >= HEADER_BYTES && (before.bytes[at] ?? 0) > 0
  )
  const damageCount = await damageIn(
    t,
    before,
    used.filter((_, position) => position % 3 === 0)
  )
  t.ok(damageCount > 100, `${damageCount} flips are damage`)
})

/** Of the file. */
const HEADER_BYTES = 100

interface Prepared {
  readonly path: string
  readonly bytes: Uint8Array
  /** for copies of it */
  readonly folder: string
  /** each is in two entries */
  readonly keys: readonly string[]
  /** to be applied next */
  readonly entries: readonly Entry[]
  readonly expected: Outcome
}

async function prepared(t: Assert, keys: readonly string[]): Promise<Prepared> {
  const directory = await t.tmp()
  const path = databaseIn(directory)
  const log = new LogMaker()
  const machine = openSqlite(directory)
  for (const value of ['first', 'second'])
    await applied(machine, [log.write(...keys.map((key) => put(key, `${value} of ${key}`)))])
  await machine.close()
  const bytes = readFileSync(path)
  const entries = keys.map((key, at) => log.write(changeOf(key, at)))
  const expected = await outcomeOf(directory, { keys, entries })
  return { path, bytes, folder: directory, keys, entries, expected }
}

/** Everything that looks a key up. */
function changeOf(key: string, at: number): Change {
  const changes = [
    put(key, 'third'),
    del(key),
    put(key, 'third', { kind: 'revision', revision: 2 }),
    put(key, 'third', { kind: 'absent' }),
    put(`${key}/`, 'first', { kind: 'absent' })
  ]
  return present(changes[at % changes.length], 'a change')
}

/** Where the rows are in the first page of the table. */
function keysIn({ path, bytes }: Prepared): {
  readonly places: readonly number[]
  readonly isBranch: boolean
} {
  const database = new Database(path, { readonly: true })
  const root = database
    .prepare<[], number>("SELECT rootpage FROM sqlite_schema WHERE name = 'keys'")
    .pluck()
    .get()
  database.close()
  const from = (present(root, 'the first page of the table') - 1) * PAGE_BYTES
  // https://sqlite.org/fileformat2.html#b_tree_pages
  const begin = (bytes[from + 5] ?? 0) * 256 + (bytes[from + 6] ?? 0)
  const places = Array.from({ length: PAGE_BYTES - begin }, (_, at) => from + begin + at)
  return { places, isBranch: bytes[from] === 2 }
}

/** How many of the places are damage when a bit of theirs is flipped; none may be anything else than that or nothing. */
async function damageIn(t: Assert, before: Prepared, places: readonly number[]): Promise<number> {
  let damageCount = 0
  for (const at of places) {
    const bit = (at * 5) % 8
    const bytes = Uint8Array.from(before.bytes)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
    const directory = join(before.folder, `${at}`)
    mkdirSync(join(directory, 'state'), { recursive: true })
    writeFileSync(databaseIn(directory), bytes)
    const { changed, seen } = await outcomeOf(directory, before)
    rmSync(directory, { recursive: true })
    const { expected } = before
    const isRight =
      changed === 'CORRUPTED' ||
      (changed === expected.changed && (seen === 'CORRUPTED' || seen === expected.seen))
    if (!isRight) t.fail(`byte ${at}, bit ${bit}: ${changed} ${seen}`)
    if (changed === 'CORRUPTED' || seen === 'CORRUPTED') damageCount++
  }
  return damageCount
}

interface Outcome {
  /** what has been applied, or the code of the failure */
  readonly changed: string
  /** likewise of what can be read then */
  readonly seen: string
}

async function outcomeOf(
  directory: string,
  { keys, entries }: Pick<Prepared, 'keys' | 'entries'>
): Promise<Outcome> {
  let onFailed: (code: string) => void = () => {}
  const failed = new Promise<string>((resolve) => {
    onFailed = resolve
  })
  const opened = orCode(() => openSqlite(directory, ({ code }) => onFailed(code)))
  if (typeof opened === 'string') return { changed: opened, seen: '' }
  try {
    const results = await Promise.race([applied(opened, entries), failed])
    if (typeof results === 'string') return { changed: results, seen: '' }
    const changed = JSON.stringify([results, opened.applied()])
    return { changed, seen: orCode(() => JSON.stringify(seenIn(opened, keys))) }
  } finally {
    await opened.close()
  }
}

function orCode<T>(act: () => T): T | string {
  try {
    return act()
  } catch (error) {
    if (error instanceof AspenError) return error.code
    throw error
  }
}

function seenIn(machine: SqliteStateMachine, keys: readonly string[]): readonly unknown[] {
  const names = [...keys, ...keys.map((key) => `${key}/`)]
  const rows = names.map((key) => machine.get(asBytes(key)))
  const pages = ['', 'k1', 'k'].map((prefix) =>
    machine.scan({ prefix: asBytes(prefix), after: null, limit: 1_000 })
  )
  return [...rows, ...pages]
}
