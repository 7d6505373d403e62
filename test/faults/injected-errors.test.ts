// STO-10, STO-11 and STO-26: strace makes the N-th write or sync of a node fail, once or from then on.
// The node must end with the code of its error, nothing that it acknowledged may be lost, and it must
// start and serve again when the disk works. The long form takes every N until the node writes no
// more; the short form draws a few.
//
// A short write is injected into the log only: strace cannot write a part, it only says that a part was
// written. lmdb takes that for a failure; SQLite would go on with the rest, on top of a hole that no
// disk makes.

import test from 'brittle'
import type { Assert } from 'brittle'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT } from '../../lib/errors.ts'
import { randomBelow } from '../../lib/random.ts'
import type { Random } from '../../lib/random.ts'
import { Lab } from '../e2e/lab.ts'
import { isSkipped } from '../skip.ts'
import { runLoner } from './loner.ts'
import { inParallel } from './parallel.ts'
import { IS_FULL, seeded } from './seed.ts'
import { tally } from './tally.ts'

const LIMIT = { timeout: IS_FULL ? 3_500_000 : 590_000 }
const WRITE_COUNT = IS_FULL ? 200 : 60
/** Calls of one thread: with one thread for files, N counts all of them. */
const ENV = { UV_THREADPOOL_SIZE: '1' }

const LOG = ['log/data.mdb']
const STATE = ['state/0.db', 'state/0.db-wal']
const FILES = ['node.json.tmp', 'node.key.tmp', 'api.token.tmp', 'runtime.json.tmp']

/** Of the log of a node that ended otherwise. */
const MAX_LOG_SHOWN = 4_000

interface Fault {
  readonly call: 'fdatasync' | 'fsync' | 'pwrite64' | 'write' | 'writev' | 'ftruncate'
  /** as strace injects it */
  readonly injection: 'error=EIO' | 'error=ENOSPC' | 'retval=512'
  readonly files: readonly string[]
  /** about how many such calls a run makes */
  readonly count: number
  /** calls that the short form takes as well as the one that it draws */
  readonly always?: readonly number[]
}

const SYNCS: readonly Fault[] = [
  { call: 'fdatasync', injection: 'error=EIO', files: LOG, count: 60 },
  { call: 'fdatasync', injection: 'error=ENOSPC', files: LOG, count: 60 },
  { call: 'fsync', injection: 'error=EIO', files: FILES, count: 5 },
  { call: 'fsync', injection: 'error=ENOSPC', files: FILES, count: 5 }
]

const WRITES: readonly Fault[] = [
  { call: 'pwrite64', injection: 'error=EIO', files: LOG, count: 120 },
  { call: 'pwrite64', injection: 'error=ENOSPC', files: LOG, count: 120 },
  // the third writes the meta of the first transaction
  { call: 'pwrite64', injection: 'retval=512', files: LOG, count: 120, always: [3] },
  { call: 'writev', injection: 'error=EIO', files: LOG, count: 60 },
  // the third writes the first entry of a new cluster
  { call: 'writev', injection: 'retval=512', files: LOG, count: 60, always: [3] },
  { call: 'pwrite64', injection: 'error=EIO', files: STATE, count: 200 },
  { call: 'pwrite64', injection: 'error=ENOSPC', files: STATE, count: 200 },
  { call: 'write', injection: 'error=EIO', files: FILES, count: 5 },
  { call: 'write', injection: 'error=ENOSPC', files: FILES, count: 5 }
]

test(
  'STO-10, STO-26: a sync that fails ends the node with its code, and nothing is lost',
  LIMIT,
  (t) => sweep(t, SYNCS)
)

test(
  'STO-11: a write that fails or comes short ends the node with its code, and nothing is lost',
  LIMIT,
  (t) => sweep(t, WRITES)
)

interface Injection {
  readonly machine: string
  readonly fault: Fault
  /** the call that fails, from 1 */
  readonly nth: number
  readonly isLasting: boolean
}

async function sweep(t: Assert, faults: readonly Fault[]): Promise<void> {
  if (isSkipped(t, 'strace')) return
  const random = seeded(t)
  const lab = await Lab.open()
  t.teardown(() => lab.close(), { force: true })
  let metCount = 0
  await inParallel(injectionsOf(faults, random), async (injection) => {
    const isMet = await inject(t, { lab, random, injection })
    if (isMet) metCount++
  })
  t.comment(`${metCount} injected`)
  t.ok(metCount >= faults.length / 2, 'most of what was to be injected was')
}

function injectionsOf(faults: readonly Fault[], random: Random): Injection[] {
  return faults.flatMap((fault, at) => {
    const { count } = fault
    const all = Array.from({ length: count }, (_, before) => before + 1)
    const drawn = [...(fault.always ?? []), 1 + randomBelow(random, count)]
    const chosen = IS_FULL ? all : [...new Set(drawn)]
    return chosen.map((nth) => ({
      machine: `f${at}-${nth}`,
      fault,
      nth,
      isLasting: randomBelow(random, 2) === 0
    }))
  })
}

/** @returns whether the node came to the N-th call */
async function inject(
  t: Assert,
  { lab, random, injection }: { lab: Lab; random: Random; injection: Injection }
): Promise<boolean> {
  const { machine, fault, nth, isLasting } = injection
  const recordPath = join(lab.root, `${machine}.record`)
  const paths = fault.files.flatMap((file) => ['-P', join(lab.dataDir(machine), file)])
  const what = `inject=${fault.call}:${fault.injection}:when=${nth}${isLasting ? '+' : ''}`
  const under = ['strace', '-f', '-qq', '--seccomp-bpf', '-o', recordPath, ...paths, '-e', what]
  const result = await runLoner({
    lab,
    machine,
    random,
    options: { command: 'create', under, env: ENV },
    writeCount: WRITE_COUNT
  })
  const count = readFileSync(recordPath, 'latin1').match(/\(INJECTED\)/g)?.length ?? 0
  tally({ injectedErrors: count })
  const name = `${what} on ${fault.files[0]}`
  t.is(result.violation, null, `${name}: nothing is lost or wrong`)
  if (count === 0) return false
  const { code, signal } = result.end
  const isAborted = signal === 'SIGABRT' && OVERRUNS.has(fault.call) && fault.files === LOG
  const hasCode = CODES[fault.injection].includes(code ?? -1)
  const isRight = result.hasMetFault && (hasCode || isAborted)
  if (!isRight) t.comment(result.log.slice(-MAX_LOG_SHOWN))
  t.ok(isRight, `${name}: ended with ${code ?? signal}`)
  return true
}

/**
 * When one of these fails, lmdb 3.5 writes the reason into 100 bytes, for which it is sometimes too long
 * (mdb_page_flush, `last_error`). The C library may notice, and then it ends the process before the node
 * does; that loses nothing.
 */
const OVERRUNS: ReadonlySet<Fault['call']> = new Set(['pwrite64', 'writev'])

/** What a node may end with: lmdb says of a write that came short that there is an error of the disk, or no space. */
const CODES: { readonly [Injected in Fault['injection']]: readonly number[] } = {
  'error=EIO': [EXIT.ioError],
  'error=ENOSPC': [EXIT.noSpace],
  'retval=512': [EXIT.ioError, EXIT.noSpace]
}
