// How long a snapshot takes to be made and installed, and how long the event loop of the node waits meanwhile.
//
//   node dist/test/bench/snapshot.js [keys] [bytes]
//
// A turn is what lies between two ticks of a 1 ms timer, by the clock or by the processor time of the
// main thread's process, whichever is less: other programs of the machine may hold the core. While the
// snapshot is made, writes go on, one entry of 100 keys after the other.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { present } from '../../lib/assert.ts'
import type { SqliteStateMachine } from '../../lib/state-machine/sqlite-state-machine.ts'
import {
  LogMaker,
  adopted,
  applied,
  chunkAt,
  cut,
  manifestOf,
  openSqlite,
  prepared,
  put,
  rethrow
} from '../state-machine/samples.ts'
import { printConditions, printResults, readConditions } from './conditions.ts'

const MEBIBYTE = 1024 * 1024
const MICROSECONDS_PER_MS = 1e3
const KEYS_PER_ENTRY = 100

const keyCount = Number(process.argv[2] ?? 1_000_000)
const valueBytes = Number(process.argv[3] ?? 256)

const root = mkdtempSync('.bench-')
const rows: string[][] = []
let longestMs = 0
let last = moment()
setInterval(() => {
  const now = moment()
  longestMs = Math.max(
    longestMs,
    Math.min(now.clockMs - last.clockMs, now.processorMs - last.processorMs)
  )
  last = now
}, 1).unref()

try {
  await main()
} finally {
  rmSync(root, { recursive: true, force: true })
}

async function main(): Promise<void> {
  printConditions(await readConditions(root))
  const log = new LogMaker()
  const source = openSqlite(folder('source'), rethrow, { maxSnapshotReadMs: 600_000 })
  await measured('apply all keys', () => fill(source, log))
  let writing: Promise<number> = Promise.resolve(0)
  let isDone = false
  const info = await measured('make a snapshot', async () => {
    const made = await cut(source, () => {
      writing = writeOn(source, log, () => isDone)
    })
    isDone = true
    return present(made, 'a snapshot')
  })
  rows.push([`(entries written meanwhile: ${await writing})`, '', ''])
  const target = openSqlite(folder('target'))
  const manifest = present(await manifestOf(source, info), 'the manifest')
  const incoming = present(target.snapshots.receive(info, manifest), 'an incoming snapshot')
  await measured('read, check and keep all chunks', async () => {
    for (const at of incoming.missing())
      incoming.put(at, present(await chunkAt(source, info, at), 'a chunk'))
    return ''
  })
  const snapshot = await measured('build and check the database', async () =>
    present(await prepared(incoming), 'a prepared snapshot')
  )
  await measured('adopt', async () => {
    await adopted(target, snapshot)
    return ''
  })
  printResults(['step', 'seconds', 'longest turn, ms'], rows)
  const sizes = ['source', 'target'].flatMap((name) => sizesOf(name))
  printResults(
    ['file', 'MiB'],
    [...sizes, ['resident, largest', (process.resourceUsage().maxRSS / 1_024).toFixed(0)]]
  )
  await source.close()
  await target.close()
}

async function fill(machine: SqliteStateMachine, log: LogMaker): Promise<string> {
  for (let from = 0; from < keyCount; from += KEYS_PER_ENTRY)
    await applied(machine, [entryOf(log, from)])
  return `${keyCount} keys`
}

/** One entry after the other. @returns how many */
async function writeOn(
  machine: SqliteStateMachine,
  log: LogMaker,
  isDone: () => boolean
): Promise<number> {
  let written = 0
  for (; !isDone(); written++)
    await applied(machine, [entryOf(log, (written % 1_000) * KEYS_PER_ENTRY)])
  return written
}

/** Keys in an order that is not theirs. */
function entryOf(log: LogMaker, from: number) {
  return log.write(
    ...Array.from({ length: KEYS_PER_ENTRY }, (_, at) => {
      const number = ((from + at) * 7_919) % keyCount
      return put(`bench/key/${number}`, new Uint8Array(valueBytes).fill(number))
    })
  )
}

async function measured<T>(step: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now()
  longestMs = 0
  const result = await work()
  const seconds = ((performance.now() - start) / 1_000).toFixed(2)
  const note = typeof result === 'string' && result !== '' ? `${step}: ${result}` : step
  rows.push([note, seconds, longestMs.toFixed(1)])
  return result
}

function folder(name: string): string {
  const path = join(root, name)
  mkdirSync(path)
  return path
}

function sizesOf(name: string): string[][] {
  return ['state', 'snapshots'].flatMap((part) =>
    readdirSync(join(root, name, part)).map((file) => [
      `${name}/${part}/${file}`,
      (statSync(join(root, name, part, file)).size / MEBIBYTE).toFixed(1)
    ])
  )
}

function moment(): { readonly clockMs: number; readonly processorMs: number } {
  const { user, system } = process.cpuUsage()
  return { clockMs: performance.now(), processorMs: (user + system) / MICROSECONDS_PER_MS }
}
