// Whether more reading connections make reads faster: of one thread, which takes them in turn, and of threads,
// each with its own. A node has one (lib/state-machine/README.md says what came out).
//
//   node dist/test/bench/readers.js [keys] [gets]
//
// Each way reads the same random keys, 64 at a time where there are threads. Processor time is that of all threads.

import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { assert, present } from '../../lib/assert.ts'
import { SeededRandom } from '../../lib/random.ts'
import { openReader } from '../../lib/state-machine/sqlite-connection.ts'
import { databasePath } from '../../lib/state-machine/sqlite-database.ts'
import { SqliteReader } from '../../lib/state-machine/sqlite-reader.ts'
import { LogMaker, applied, asBytes, openSqlite, put } from '../state-machine/samples.ts'
import { printConditions, printResults, readConditions } from './conditions.ts'
import type { Answer, Order } from './read-worker.ts'

const VALUE = new Uint8Array(256).fill(7)
const RUNS = 5
const AT_A_TIME = 64

const keyCount = Number(process.argv[2] ?? 200_000)
const getCount = Number(process.argv[3] ?? 50_000)
const root = mkdtempSync('.bench-')
const rows: string[][] = []

try {
  printConditions(await readConditions(root))
  await fill()
  for (const count of [1, 2, 10]) await print(`${count} in one thread`, () => inOneThread(count))
  for (const count of [1, 2, 10]) {
    const workers = Array.from({ length: count }, () => startWorker())
    await print(`${count} threads with one each`, () => inThreads(workers))
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
  printResults(['reading connections', 'gets per second', 'µs', 'µs of processor'], rows)
} finally {
  rmSync(root, { recursive: true, force: true })
}

async function fill(): Promise<void> {
  const machine = openSqlite(root)
  const log = new LogMaker()
  for (let from = 0; from < keyCount; from += 100) {
    const puts = Array.from({ length: 100 }, (_, at) => put(`key/${from + at}`, VALUE))
    await applied(machine, [log.write(...puts)])
  }
  await machine.close()
}

/** The best of several runs. */
async function print(what: string, read: () => Promise<void> | void): Promise<void> {
  let least = { us: Infinity, processorUs: Infinity }
  for (let run = 0; run < RUNS; run++) {
    const before = process.cpuUsage()
    const beginMs = performance.now()
    await read()
    const us = ((performance.now() - beginMs) * 1e3) / getCount
    const { user, system } = process.cpuUsage(before)
    if (us < least.us) least = { us, processorUs: (user + system) / getCount }
  }
  const { us, processorUs } = least
  rows.push([what, Math.round(1e6 / us).toString(), us.toFixed(1), processorUs.toFixed(1)])
}

function databaseFile(): string {
  return databasePath(join(root, 'state'), 0)
}

function* keys(): Generator<Uint8Array> {
  const random = new SeededRandom(1)
  for (let at = 0; at < getCount; at++) yield asBytes(`key/${random.uint32() % keyCount}`)
}

function inOneThread(count: number): void {
  const readers = Array.from({ length: count }, () => new SqliteReader(openReader(databaseFile())))
  let turn = 0
  for (const key of keys()) {
    const found = present(readers[turn++ % count], 'a reader').get(key)
    assert(found?.value.byteLength === VALUE.byteLength, 'the key is there')
  }
  for (const reader of readers) reader.close()
}

function startWorker(): Worker {
  const workerData = databaseFile()
  return new Worker(new URL('./read-worker.js', import.meta.url), { workerData })
}

/** One message per get, as a node would send it; the least busy thread gets the next. */
function inThreads(workers: readonly Worker[]): Promise<void> {
  return new Promise((resolve) => {
    const left = keys()
    let openCount = 0
    const give = (worker: Worker): void => {
      const { value: key, done } = left.next()
      if (done === true) {
        if (openCount === 0) end()
        return
      }
      openCount++
      const order: Order = { key }
      worker.postMessage(order)
    }
    const end = (): void => {
      for (const worker of workers) worker.removeAllListeners('message')
      resolve()
    }
    for (const worker of workers) {
      worker.on('message', (answer: Answer) => {
        assert(answer.value?.byteLength === VALUE.byteLength, 'the key is there')
        openCount--
        give(worker)
      })
    }
    for (let at = 0; at < AT_A_TIME; at++) give(present(workers[at % workers.length], 'a worker'))
  })
}
