// Every state in which a power loss could leave the data directory, as far as a recorded history tells:
// a node is made, writes, ends, starts again and writes while strace records its system calls; then the
// files are rebuilt as they may have been at each moment, and the stores opened on them. STO-04 loses
// and tears what was not synced in the log, STO-17 in the state machine, STO-05 everywhere, names
// included; STO-25 takes everything as it was written at that moment, as a snapshot of the volume does.

import test from 'brittle'
import type { Assert } from 'brittle'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hash } from '../../lib/crypto.ts'
import { bytesOf, hexOf } from '../../lib/encoding.ts'
import type { Random } from '../../lib/random.ts'
import { randomBelow } from '../../lib/random.ts'
import { isSkipped } from '../skip.ts'
import type { Choice, DiskState } from './disk-history.ts'
import { DiskHistory } from './disk-history.ts'
import { Promises } from './promises.ts'
import { reopen } from './reopen.ts'
import { drawn, IS_FULL, seeded } from './seed.ts'
import { readTrace, recorder } from './syscall-trace.ts'
import { tally } from './tally.ts'

const PROGRAM = fileURLToPath(new URL('./recorded-process.js', import.meta.url))
const LIMIT = { timeout: IS_FULL ? 3_500_000 : 590_000 }
/** At how many moments each test lets the power go. */
const MOMENT_COUNT = IS_FULL ? 1_000_000 : 20
/** The states are many and live for milliseconds: where there is one, on a disk that is none. */
const SCRATCH = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
/** Memory that processes share, and locks: nothing that a power loss leaves. */
const IS_VOLATILE = /-shm$|\/lock\.mdb$|\.sock$/

interface Recording {
  readonly calls: Awaited<ReturnType<typeof readTrace>>
  readonly root: string
}

let recording: Recording | null = null

test('STO-04: whatever the power takes of the log, every acknowledged write is there', LIMIT, (t) =>
  check(t, { isOpen: (path) => path.includes('/log'), isLossy: true })
)

test('STO-17: whatever the power takes of the state machine, the log brings it back', LIMIT, (t) =>
  check(t, { isOpen: (path) => path.includes('/state'), isLossy: true })
)

test(
  'STO-05: whatever the power takes of the folder, names included, the node is whole',
  LIMIT,
  (t) => check(t, { isOpen: () => true, isLossy: true })
)

test(
  'STO-25: a snapshot of the volume at any moment is a node that keeps its promises',
  LIMIT,
  (t) => check(t, { isOpen: () => true, isLossy: false })
)

interface Loss {
  readonly isOpen: (path: string) => boolean
  readonly isLossy: boolean
}

async function check(t: Assert, loss: Loss): Promise<void> {
  if (isSkipped(t, 'strace')) return
  const random = seeded(t)
  recording ??= await record()
  const { calls, root } = recording
  const history = new DiskHistory(calls)
  const seen = new Set<string>()
  let failure: string | null = null
  for (const position of drawn(history.positions, MOMENT_COUNT, random)) {
    const promises = new Promises()
    for (const line of history.notesBefore(position)) promises.add(line)
    for (const [name, state] of statesAt(history, { position, loss, random })) {
      const digest = digestOf(state, promises)
      if (seen.has(digest)) continue
      seen.add(digest)
      const complaint = await complaintAbout(state, { root, promises })
      if (complaint !== null) failure ??= `at ${position}, ${name}: ${complaint}`
      if (complaint !== null) tally({ lost: 1 })
    }
  }
  tally({ crashStates: seen.size })
  const { acknowledgedCount } = all(history)
  t.comment(`${seen.size} states, up to ${acknowledgedCount} acknowledged writes`)
  t.ok(acknowledgedCount > 50 && seen.size >= 15, 'the recording has what it takes')
  t.is(failure, null, 'every state is that of a node that keeps its promises')
}

/** Runs the node under strace and reads what it did. */
async function record(): Promise<Recording> {
  const folder = mkdtempSync(join(tmpdir(), 'aspen-recorded-'))
  const [root, notesPath, recordPath] = ['data', 'notes', 'record'].map((name) =>
    join(folder, name)
  )
  if (root === undefined || notesPath === undefined || recordPath === undefined) throw new Error()
  const [program = '', ...words] = recorder(recordPath)
  const node = [process.execPath, '--enable-source-maps', PROGRAM, root, notesPath]
  const { status, stderr } = spawnSync(program, [...words, ...node], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`the recorded node ended with ${status}:\n${stderr}`)
  const calls = await readTrace(recordPath, { root, notesPath })
  rmSync(folder, { recursive: true })
  return { calls: calls.filter(({ path }) => !IS_VOLATILE.test(path)), root }
}

/** States in which the power may leave the disk at the position, each with what was done to it. */
function* statesAt(
  history: DiskHistory,
  { position, loss, random }: { position: number; loss: Loss; random: Random }
): Iterable<readonly [string, DiskState]> {
  const { isOpen, isLossy } = loss
  const state = (choice: Choice): DiskState => history.stateAt(position, choice, isOpen)
  yield ['all there', state(() => true)]
  if (!isLossy) return
  const count = history.pendingCountAt(position, isOpen)
  if (count === 0) return
  yield ['nothing unsynced there', state(() => false)]
  const cut = randomBelow(random, count)
  yield [`the first ${cut} of ${count} there`, state((at) => at < cut)]
  const one = randomBelow(random, count)
  yield [`${one} of ${count} missing`, state((at) => at !== one)]
  yield [`only ${one} of ${count} there`, state((at) => at === one)]
  yield [`the last of ${count} missing`, state((at) => at !== count - 1)]
  yield [`only the last of ${count} there`, state((at) => at === count - 1)]
  yield ['some there', state(() => randomBelow(random, 2) === 0)]
  const torn = history.tornAt(position, random, isOpen)
  if (torn !== null) yield ['the last write torn', torn]
}

function digestOf(state: DiskState, { lastRevision }: Promises): string {
  const parts = [...state].flatMap(([path, content]) => [
    bytesOf(path),
    hash(content ?? new Uint8Array(0))
  ])
  return hexOf(hash(bytesOf(String(lastRevision)), ...parts))
}

/** Makes the files, opens the stores on them, and removes them. */
async function complaintAbout(
  state: DiskState,
  { root, promises }: { root: string; promises: Promises }
): Promise<string | null> {
  const folder = mkdtempSync(join(SCRATCH, 'aspen-state-'))
  try {
    for (const [path, content] of state) {
      const place = join(folder, path.slice(root.length))
      if (content === null) mkdirSync(place, { recursive: true, mode: 0o700 })
      else writeFileSync(place, content, { mode: 0o600 })
    }
    const reopened = await reopen(folder, promises)
    return reopened.kind === 'kept' ? null : reopened.message
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function all(history: DiskHistory): Promises {
  const promises = new Promises()
  for (const line of history.notesBefore(Number.MAX_SAFE_INTEGER)) promises.add(line)
  return promises
}
