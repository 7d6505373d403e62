// What only a log on a disk must survive: killed processes, damaged bytes, cut files, failed writes.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFile,
  mkdir,
  mkdtemp,
  open as openFile,
  readFile,
  stat,
  writeFile
} from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import test from 'brittle'
import type { Assert } from 'brittle'
import { assert, present } from '../../lib/assert.ts'
import { hash } from '../../lib/crypto.ts'
import type { AspenError } from '../../lib/errors.ts'
import type { LmdbLogStoreOptions } from '../../lib/log-store/lmdb-log-store.ts'
import { LmdbLogStore } from '../../lib/log-store/lmdb-log-store.ts'
import { LOG_DATA_FILE, storageErrorOf } from '../../lib/log-store/lmdb-environment.ts'
import {
  encodeEntry,
  ENTRY_HEADER_BYTES,
  indexKey,
  STATE_BYTES
} from '../../lib/log-store/encoding.ts'
import { SeededRandom } from '../../lib/random.ts'
import { editEntries, editState, recordOf } from './lmdb-damage.ts'
import { durably, entriesAfter, failureOf, GENESIS, NOTHING } from './log-samples.ts'

const KILL_COUNT = Number(process.env['KILLS'] ?? 20)
const PROGRAM = fileURLToPath(new URL('./write-loop.js', import.meta.url))

test('a process that is killed at any moment never loses an acknowledged write', async (t) => {
  t.timeout(240_000)
  const directory = join(await t.tmp(), 'log')
  const random = new SeededRandom(Date.now() % 1_000)
  let acknowledged = 0
  for (let kill = 1; kill <= KILL_COUNT; kill++) {
    const mode = kill % 2 === 0 ? ['compact'] : []
    const child = spawn(process.execPath, [PROGRAM, directory, ...mode])
    const found = await linesUntilKilled(child, random.uint32() % 60)
    const [, boot, last] = present(found[0], 'the first line').split(' ')
    if (Number(boot) !== kill) t.fail(`boot ${boot} instead of ${kill}`)
    if (Number(last) < acknowledged) t.fail(`${last} found, ${acknowledged} acknowledged`)
    for (const line of found.slice(1)) {
      assert(line.startsWith('durable '), `unexpected: ${line}`)
      acknowledged = Math.max(acknowledged, Number(line.slice('durable '.length)))
    }
  }
  const { store } = await LmdbLogStore.open(optionsFor(directory))
  t.ok(store.last.index >= acknowledged, `${store.last.index} found, ${acknowledged} acknowledged`)
  t.ok(acknowledged > KILL_COUNT, 'it did write')
  await store.close()
})

test('a damaged record is named, and nothing is changed', async (t) => {
  const whole = await makeLog(t, 200)
  const bytes = await readFile(join(whole, LOG_DATA_FILE))
  for (const index of [1, 57, 200]) {
    for (const offset of [0, 1, 9, 20, 40, 70, ENTRY_HEADER_BYTES + 5]) {
      const at = bytes.indexOf(recordOf(index)) + offset
      const directory = await damagedCopy(t, whole, at)
      const error = await failureOf(LmdbLogStore.open(optionsFor(directory)))
      t.is(error.code, 'CORRUPTED', error.message)
      t.is(error.detail.fields?.['index'], index)
      const after = await readFile(join(directory, LOG_DATA_FILE))
      t.is(after[at], present(bytes[at], 'a byte') ^ 0x10, 'the damage is left as it is')
    }
  }
})

test('a record that lies in the place of another one is noticed', async (t) => {
  const directory = await makeLog(t, 20)
  await editEntries(directory, async (entries) => {
    await entries.put(indexKey(7), present(entries.get(indexKey(8)), 'a record'))
  })
  const error = await failureOf(LmdbLogStore.open(optionsFor(directory)))
  t.alike([error.code, error.detail.fields?.['index']], ['CORRUPTED', 7])
})

test('a missing record, a missing tail and one too many are noticed', async (t) => {
  for (const [remove, named] of [
    [7, 7],
    [20, 20]
  ] as const) {
    const directory = await makeLog(t, 20)
    await editEntries(directory, async (entries) => void (await entries.remove(indexKey(remove))))
    const error = await failureOf(LmdbLogStore.open(optionsFor(directory)))
    t.alike([error.code, error.detail.fields?.['index']], ['CORRUPTED', named])
  }
  const directory = await makeLog(t, 20)
  await editEntries(directory, async (entries) => {
    await entries.put(indexKey(21), present(entries.get(indexKey(20)), 'a record'))
  })
  const error = await failureOf(LmdbLogStore.open(optionsFor(directory)))
  t.alike([error.code, error.detail.fields?.['index']], ['CORRUPTED', 21])
})

test('a record that was replaced once does not come back unnoticed', async (t) => {
  const old = entriesAfter(GENESIS, { count: 20 })
  const ninth = present(old[8], 'an entry')
  const fresh = entriesAfter(ninth, { count: 11, term: 2 })
  for (const [index, named] of [
    [10, 11],
    [20, 20]
  ] as const) {
    const directory = await makeLog(t, 20)
    const { store } = await LmdbLogStore.open(optionsFor(directory))
    await durably(store, { truncateFrom: 10, entries: fresh })
    await store.close()
    const chain = index === 10 ? old : [...old.slice(0, 9), ...fresh]
    const before = present(chain[index - 2], 'an entry')
    const [entry] = entriesAfter(before, { count: 1, term: 2, payloadBytes: 3 })
    await editEntries(directory, async (entries) => {
      await entries.put(indexKey(index), encodeEntry(present(entry, 'an entry'), before.hash))
    })
    const error = await failureOf(LmdbLogStore.open(optionsFor(directory)))
    t.alike([error.code, error.detail.fields?.['index']], ['CORRUPTED', named])
  }
})

test('a log without any state is not taken for an empty one', async (t) => {
  const directory = await makeLog(t, 5)
  await editState(directory, ['state-a', 'state-b'], () => null)
  const error = await failureOf(LmdbLogStore.open(optionsFor(directory)))
  t.is(error.code, 'CORRUPTED')
})

test('the log of a newer version is refused and left alone', async (t) => {
  const directory = await makeLog(t, 5)
  const before: Uint8Array[] = []
  await editState(directory, ['state-a', 'state-b'], (record) => {
    const longer = new Uint8Array(STATE_BYTES + 8)
    longer.set(record.subarray(0, STATE_BYTES - 32))
    longer[0] = 2
    longer.set(hash(longer.subarray(0, -32)), longer.byteLength - 32)
    before.push(longer)
    return longer
  })
  const error = await failureOf(LmdbLogStore.open(optionsFor(directory)))
  t.is(error.code, 'FORMAT_NEWER')
  t.ok(error.message.includes('format 2'), error.message)
  await editState(directory, ['state-a', 'state-b'], (record) => {
    t.alike(Uint8Array.from(record), before.shift())
    return record
  })
})

test('a file that was cut short is refused without a crash', async (t) => {
  t.timeout(120_000)
  const whole = await makeLog(t, 400)
  const bytes = await readFile(join(whole, LOG_DATA_FILE))
  for (let part = 1; part < 16; part++) {
    const directory = await mkdtemp(join(await t.tmp(), 'cut-'))
    const size = Math.floor((bytes.byteLength * part) / 16)
    await writeFile(join(directory, LOG_DATA_FILE), bytes.subarray(0, size))
    const error = await failureOf(LmdbLogStore.open(optionsFor(directory)))
    t.is(error.code, 'CORRUPTED', `${size} of ${bytes.byteLength} bytes: ${error.message}`)
  }
  const directory = await mkdtemp(join(await t.tmp(), 'cut-'))
  await writeFile(join(directory, LOG_DATA_FILE), 'not a log at all')
  t.is((await failureOf(LmdbLogStore.open(optionsFor(directory)))).code, 'CORRUPTED')
})

test('a failed write is told once, and then nothing more is called', async (t) => {
  const directory = join(await t.tmp(), 'log')
  const limited = `ulimit -f 200; exec "$0" "$@"`
  const child = spawn('bash', ['-c', limited, process.execPath, PROGRAM, directory])
  const lines = await linesOf(child)
  const tail = lines.slice(-2)
  t.alike(tail, ['failed IO_ERROR', 'failures 1'])
  t.is(child.exitCode, 74)
  const acknowledged = Number(present(lines.at(-3), 'a line').replace('durable ', ''))
  t.ok(acknowledged > 10, `${acknowledged} were durable before`)
  const { store } = await LmdbLogStore.open(optionsFor(directory))
  t.ok(store.last.index >= acknowledged)
  await store.close()
})

test('while the reason of a failure is asked for, nothing is written or told', async (t) => {
  const directory = join(await t.tmp(), 'log')
  const { promise: reason, reject: giveReason } = rejectable()
  const { promise: failure, resolve: onFailed } = resolvable<AspenError>()
  let hasFailed = false
  const onBoundary = (name: string): void => {
    if (name !== 'log.sweep.durable' || hasFailed) return
    hasFailed = true
    throw Object.assign(new Error('the commit failed'), { commitError: reason })
  }
  const { store } = await LmdbLogStore.open({ ...optionsFor(directory), onFailed, onBoundary })
  const entries = entriesAfter(GENESIS, { count: 20 })
  await durably(store, { entries })
  store.compact(10, () => t.fail('the sweep failed'))
  const later = (write: number): void =>
    store.write(
      { ...NOTHING, entries: entriesAfter(present(entries.at(-1), 'an entry'), { count: write }) },
      () => t.fail(`write ${write} is told as durable`)
    )
  while (!hasFailed) await new Promise((resolve) => setImmediate(resolve))
  later(1)
  // long enough for a commit
  await new Promise((resolve) => setTimeout(resolve, 200))
  giveReason(Object.assign(new Error('no room'), { code: 28 }))
  t.is((await failure).code, 'NO_SPACE')
  await store.close()
  const { store: again } = await LmdbLogStore.open(optionsFor(directory))
  t.is(again.last.index, 20, 'what was asked for meanwhile was not begun')
  await again.close()
})

test('an error of the disk is told apart from a full disk and from damage', (t) => {
  const cases: [unknown, string][] = [
    [28, 'NO_SPACE'],
    [-30_792, 'NO_SPACE'],
    [5, 'IO_ERROR'],
    [-30_795, 'IO_ERROR'],
    [-30_796, 'CORRUPTED']
  ]
  for (const [code, expected] of cases) {
    t.is(storageErrorOf(Object.assign(new Error('no'), { code })).code, expected, String(code))
  }
  t.is(storageErrorOf('what').code, 'IO_ERROR')
})

test('the files are for their owner alone', async (t) => {
  const directory = await makeLog(t, 1)
  t.is((await stat(directory)).mode & 0o777, 0o700)
  t.is((await stat(join(directory, LOG_DATA_FILE))).mode & 0o777, 0o600)
})

test('a log that must be there is not made', async (t) => {
  const directory = join(await t.tmp(), 'log')
  const options = optionsFor(directory)
  const error = await failureOf(LmdbLogStore.open({ ...options, mustExist: true }))
  t.is(error.code, 'IDENTITY_WITHOUT_LOG')
  const { store } = await LmdbLogStore.open(options)
  t.is(store.boot, 1)
  await store.close()
  const again = await LmdbLogStore.open({ ...options, mustExist: true })
  t.is(again.store.boot, 2)
  await again.store.close()
})

function resolvable<T>() {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((onValue) => {
    resolve = onValue
  })
  return { promise, resolve }
}

function rejectable() {
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<never>((_, onError) => {
    reject = onError
  })
  return { promise, reject }
}

function optionsFor(directory: string): LmdbLogStoreOptions {
  return {
    directory,
    genesis: GENESIS,
    random: new SeededRandom(5),
    onFailed(error) {
      throw error
    }
  }
}

/** A closed log with `count` entries. */
async function makeLog(t: Assert, count: number): Promise<string> {
  const directory = join(await mkdtemp(join(await t.tmp(), 'made-')), 'log')
  const { store } = await LmdbLogStore.open(optionsFor(directory))
  const hardState = { term: 9, votedFor: 3, commitIndex: 2 }
  await durably(store, { entries: entriesAfter(GENESIS, { count }), hardState })
  await store.close()
  return directory
}

async function damagedCopy(t: Assert, directory: string, position: number): Promise<string> {
  assert(position > 0, 'a position in the file')
  const copy = join(await mkdtemp(join(await t.tmp(), 'damaged-')), 'log')
  await mkdir(copy)
  await copyFile(join(directory, LOG_DATA_FILE), join(copy, LOG_DATA_FILE))
  const file = await openFile(join(copy, LOG_DATA_FILE), 'r+')
  const byte = new Uint8Array(1)
  await file.read(byte, 0, 1, position)
  await file.write(Uint8Array.of((byte[0] ?? 0) ^ 0x10), 0, 1, position)
  await file.close()
  return copy
}

/** Kills the child `delayMs` after its first line. */
async function linesUntilKilled(child: ChildProcess, delayMs: number): Promise<string[]> {
  assert(child.stdout !== null, 'the output is piped')
  child.stdout.once('data', () => setTimeout(() => child.kill('SIGKILL'), delayMs))
  return linesOf(child)
}

async function linesOf(child: ChildProcess): Promise<string[]> {
  assert(child.stdout !== null, 'the output is piped')
  const ended = once(child, 'exit')
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stdout })) lines.push(line)
  await ended
  return lines
}
