// STO-06, MEM-04: a crash at each durable boundary of what `aspen restore` and `aspen recover` make, and
// the same once more: whatever the first attempt has left, the second one makes a node with all that the
// first cluster had acknowledged, and a node that was given up never starts again.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'brittle'
import type { Assert } from 'brittle'
import { BOUNDARIES } from '../../lib/boundary.ts'
import { DataDirectory } from '../../lib/node/data-directory.ts'
import type { Membership } from '../../lib/node/membership.ts'
import { readMembership } from '../../lib/node/membership.ts'
import type { FormingOrder } from './forming-order.ts'
import type { CrashPoint } from './node-order.ts'
import { inParallel } from './parallel.ts'
import { Promises } from './promises.ts'
import { reopen } from './reopen.ts'
import { drawn, IS_FULL, seeded } from './seed.ts'
import { tally } from './tally.ts'

const RECORDED = fileURLToPath(new URL('./recorded-process.js', import.meta.url))
const FORMING = fileURLToPath(new URL('./forming-process.js', import.meta.url))
const SCRATCH = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
const LIMIT = { timeout: IS_FULL ? 3_500_000 : 590_000 }
/** How many crossings the short form takes. */
const DRAWN_COUNT = 6

const folder = mkdtempSync(join(SCRATCH, 'aspen-forming-'))
const template = join(folder, 'template')
const backup = join(folder, 'backup')
const notes = join(folder, 'notes')
const made = spawnSync(process.execPath, [
  '--enable-source-maps',
  RECORDED,
  template,
  notes,
  backup
])
if (made.status !== 0) throw new Error(`the node ended with ${made.status}: ${String(made.stderr)}`)
/** Who the node was does not count. */
const promises = new Promises()
for (const line of readFileSync(notes, 'utf8').trim().split('\n')) {
  if (/^(try|put) /.test(line)) promises.add(line)
}

test(
  'STO-06: a crash at each boundary of a restore leaves what another one makes whole',
  LIMIT,
  (t) => sweep(t, { backup, boundaryCount: 20 })
)

test(
  'STO-06, MEM-04: a crash at each boundary of a recovery loses nothing, and never leaves two nodes',
  LIMIT,
  async (t) => {
    t.teardown(() => rmSync(folder, { recursive: true, force: true }), { force: true })
    await sweep(t, { backup: null, boundaryCount: 30 })
  }
)

interface Forming {
  readonly backup: string | null
  /** so many boundaries are crossed, at least */
  readonly boundaryCount: number
}

/** Crashes at each crossing that there is; the short form draws some. */
async function sweep(t: Assert, forming: Forming): Promise<void> {
  const random = seeded(t)
  const crossings = await crossingsOf(forming)
  const boundaries = new Set(crossings.map(({ boundary }) => boundary))
  t.ok(boundaries.size >= forming.boundaryCount, `${boundaries.size} boundaries are crossed`)
  const chosen = IS_FULL ? crossings : drawn(crossings, DRAWN_COUNT, random)
  await inParallel(chosen, (crash) => attempt(t, forming, crash))
}

/** What a run without a crash crosses. */
async function crossingsOf(forming: Forming): Promise<CrashPoint[]> {
  const order = prepared(forming, 'whole')
  const crossedPath = `${order.dataDir}.crossed`
  if ((await form({ ...order, crash: null, crossedPath })) !== 0)
    throw new Error('it does not end well')
  rmSync(order.dataDir, { recursive: true })
  const names = readFileSync(crossedPath, 'utf8').trim().split('\n')
  const counts = new Map<string, number>()
  return names.flatMap((name) => {
    const hit = (counts.get(name) ?? 0) + 1
    counts.set(name, hit)
    const boundary = BOUNDARIES.find((each) => each === name)
    return boundary === undefined ? [] : [{ boundary, hit }]
  })
}

function prepared(
  { backup: restored }: Forming,
  name: string
): Pick<FormingOrder, 'dataDir' | 'backup'> {
  const dataDir = join(folder, `${restored === null ? 'recover' : 'restore'}-${name}`)
  if (restored === null) cpSync(template, dataDir, { recursive: true })
  else mkdirSync(dataDir, { mode: 0o700 })
  return { dataDir, backup: restored }
}

async function attempt(t: Assert, forming: Forming, crash: CrashPoint): Promise<void> {
  const name = `${crash.boundary}, crossing ${crash.hit}`
  const order = { ...prepared(forming, `${crash.boundary}-${crash.hit}`), crossedPath: null }
  const { dataDir } = order
  t.is(await form({ ...order, crash }), 'SIGKILL', `${name}: reached`)
  tally({ boundaries: 1 })
  const isDone = membershipOf(dataDir)?.state === 'creating'
  if (!isDone)
    t.is(await form({ ...order, crash: null }), 0, `${name}: the second attempt succeeds`)
  t.is(membershipOf(dataDir)?.state, 'creating', `${name}: a new cluster`)
  if (forming.backup === null)
    t.is(lostState(dataDir), 'fenced', `${name}: the old node never starts`)
  t.alike(await reopen(dataDir, promises), { kind: 'kept' }, `${name}: nothing is lost`)
  rmSync(dataDir, { recursive: true })
}

/** @returns how it ended: the code, or the signal */
async function form(order: FormingOrder): Promise<number | string> {
  const args = ['--enable-source-maps', FORMING, JSON.stringify(order)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const [code, signal] = await once(child, 'close')
  return typeof code === 'number' ? code : String(signal)
}

function membershipOf(dataDir: string): Membership | null {
  const directory = DataDirectory.open(dataDir)
  try {
    return readMembership(directory)
  } finally {
    directory.close()
  }
}

function lostState(dataDir: string): string | undefined {
  const name = readdirSync(dataDir).find((each) => each.startsWith('lost-'))
  return name === undefined ? undefined : membershipOf(join(dataDir, name))?.state
}
