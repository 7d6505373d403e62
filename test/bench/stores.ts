// What the two stores of a node cost by themselves, without a cluster: puts, gets and scans of the state machine,
// what a request id adds to a put, writes and the opening of the log.
//
//   node dist/test/bench/stores.js [entries] [state|ids|log]
//
// Seconds say what the machine did beside; processor time (of all threads) says less of that. Of runs that are
// repeated, the least is printed.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { LmdbLogStore } from '../../lib/log-store/lmdb-log-store.ts'
import { SeededRandom } from '../../lib/random.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import type { SqliteStateMachine } from '../../lib/state-machine/sqlite-state-machine.ts'
import { durably, entriesAfter } from '../log-store/log-samples.ts'
import {
  GENESIS,
  LogMaker,
  applied,
  asBytes,
  openSqlite,
  put,
  requestOf,
  rethrow
} from '../state-machine/samples.ts'
import { printConditions, printResults, quantileOf, readConditions } from './conditions.ts'

const MEBIBYTE = 1024 * 1024
const VALUE = new Uint8Array(256).fill(7)
const BATCH = 128
const RUNS = 5

const entryCount = Number(process.argv[2] ?? 100_000)
const part = process.argv[3] ?? null
const random = new SeededRandom(1)
const root = mkdtempSync('.bench-')
const rows: string[][] = []

try {
  printConditions(await readConditions(root))
  if (part === null || part === 'state') await measureStateMachine()
  if (part === null || part === 'ids') await measureRequestIds()
  if (part === null || part === 'log') await measureLogs()
  printResults(['what', 'per second', 'µs', 'µs of processor'], rows)
} finally {
  rmSync(root, { recursive: true, force: true })
}

interface Cost {
  readonly us: number
  readonly processorUs: number
}

/** Of one of `count` in `work`. */
async function costOf(count: number, work: () => Promise<void> | void): Promise<Cost> {
  const before = process.cpuUsage()
  const beginMs = performance.now()
  await work()
  const { user, system } = process.cpuUsage(before)
  return {
    us: ((performance.now() - beginMs) * 1e3) / count,
    processorUs: (user + system) / count
  }
}

function least(costs: readonly Cost[]): Cost {
  return {
    us: Math.min(...costs.map(({ us }) => us)),
    processorUs: Math.min(...costs.map(({ processorUs }) => processorUs))
  }
}

function print(what: string, { us, processorUs }: Cost): void {
  rows.push([what, Math.round(1e6 / us).toString(), us.toFixed(1), processorUs.toFixed(1)])
}

async function measureStateMachine(): Promise<void> {
  const machine = openSqlite(folder('state'))
  const log = new LogMaker()
  const costs: Cost[] = []
  for (let run = 0; run < RUNS; run++) {
    const entries = Array.from({ length: entryCount / RUNS }, () => log.write(put(anyKey(), VALUE)))
    costs.push(await costOf(entries.length, () => applyAll(machine, entries, BATCH)))
  }
  print(`put, ${BATCH} per call, any of ${entryCount} keys`, least(costs))
  const gets = await repeated(10_000, () => void machine.get(asBytes(anyKey())))
  print('get', gets)
  const request = { prefix: asBytes('key/'), after: null, limit: 1_000 }
  print('scan of 1,000 rows', await repeated(20, () => void machine.scan(request)))
  await machine.close()
}

async function measureRequestIds(): Promise<void> {
  for (const size of [1, BATCH]) {
    for (const hasId of [false, true]) {
      const machine = openSqlite(folder(`ids-${size}-${hasId}`), rethrow)
      const log = new LogMaker()
      let sequence = 0
      const costs: Cost[] = []
      for (let run = 0; run < 8; run++) {
        const entries = Array.from({ length: 2_048 }, () => {
          const change = put(anyKey(), VALUE)
          if (!hasId) return log.write(change)
          sequence++
          return log.request(requestOf(1, sequence, { answeredBelow: sequence }), change)
        })
        costs.push(await costOf(entries.length, () => applyAll(machine, entries, size)))
      }
      print(`put, ${size} per call, ${hasId ? 'with' : 'without'} request id`, least(costs))
      await machine.close()
    }
  }
}

async function measureLogs(): Promise<void> {
  for (const size of [1, 16, 128, 1_024]) await measureLog(size)
  await measureOpening()
}

async function measureLog(size: number): Promise<void> {
  const { store } = await LmdbLogStore.open(optionsFor(join(root, `log-${size}`)))
  const writeCount = Math.max(40, Math.min(1_000, Math.floor(20_000 / size)))
  const entries = entriesAfter(GENESIS, { count: writeCount * size })
  const times: number[] = []
  const cost = await costOf(writeCount, async () => {
    for (let at = 0; at < entries.length; at += size) {
      const beginMs = performance.now()
      await durably(store, { entries: entries.slice(at, at + size) })
      times.push(performance.now() - beginMs)
    }
  })
  const p50 = quantileOf(times, 0.5).toFixed(2)
  print(`log: write of ${size} entries of 256 B, half of them within ${p50} ms`, cost)
  await store.close()
}

async function measureOpening(): Promise<void> {
  const directory = join(root, 'log-open')
  const { store } = await LmdbLogStore.open(optionsFor(directory))
  let last: Entry | typeof GENESIS = GENESIS
  for (let written = 0; written < entryCount; written += 1_000) {
    const entries = entriesAfter(last, { count: 1_000 })
    await durably(store, { entries })
    last = entries.at(-1) ?? last
  }
  await store.close()
  const bytes = readdirSync(directory).map((name) => statSync(join(directory, name)).size)
  const size = (Math.max(...bytes) / MEBIBYTE).toFixed(0)
  const costs: Cost[] = []
  for (let run = 0; run < RUNS; run++) {
    costs.push(
      await costOf(1, async () => {
        const opened = await LmdbLogStore.open(optionsFor(directory))
        await opened.store.close()
      })
    )
  }
  print(`log: open with ${entryCount} entries, ${size} MiB`, least(costs))
}

async function applyAll(
  machine: SqliteStateMachine,
  entries: readonly Entry[],
  size: number
): Promise<void> {
  for (let at = 0; at < entries.length; at += size)
    await applied(machine, entries.slice(at, at + size))
}

async function repeated(count: number, work: () => void): Promise<Cost> {
  const costs: Cost[] = []
  for (let run = 0; run < RUNS; run++) {
    costs.push(
      await costOf(count, () => {
        for (let round = 0; round < count; round++) work()
      })
    )
  }
  return least(costs)
}

function anyKey(): string {
  return `key/${random.uint32() % entryCount}`
}

function optionsFor(directory: string) {
  const onFailed = (error: Error): never => {
    throw error
  }
  return { directory, genesis: GENESIS, random, onFailed }
}

function folder(name: string): string {
  const path = join(root, name)
  mkdirSync(path)
  return path
}
