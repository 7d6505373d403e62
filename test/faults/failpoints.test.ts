// STO-06: a crash at each durable boundary, and the next start. A case whose crash does not come fails:
// so each boundary is known to be reached. The short form draws half of them, and a few of those that take
// three nodes. Most of them a cluster of one crosses; for the rest it takes
// three nodes.

import test from 'brittle'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Boundary } from '../../lib/boundary.ts'
import { BOUNDARIES } from '../../lib/boundary.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { AspenError } from '../../lib/errors.ts'
import { randomBelow } from '../../lib/random.ts'
import { Lab, waitFor } from '../e2e/lab.ts'
import { runLoner } from './loner.ts'
import { killNodes, startNode, stateHashes } from './members.ts'
import type { CrashPoint } from './node-order.ts'
import { inParallel } from './parallel.ts'
import { drawn, IS_FULL, seeded } from './seed.ts'
import { tally } from './tally.ts'
import { SMALL_STORAGE_FLAGS } from './small-storage.ts'
import { TestNode } from './test-node.ts'

const NAMES = ['alder', 'birch', 'cedar']
const ROUND_COUNT = IS_FULL ? 20 : 1
const LIMIT = { timeout: IS_FULL ? 3_500_000 : 590_000 }
const WRITE_COUNT = 200
/** Of the boundaries that take three nodes, in the short form. */
const TRIO_COUNT = 3
/** More than fills the write-ahead log to where a checkpoint is due. */
const BULK_COUNT = 8
/** Several times what the log keeps. */
const MISSED_COUNT = 120
const BULK_BYTES = 1_000_000

/** Crossed with many writes: which crossing it is to be is drawn from so many. */
const HITS: { readonly [Name in Boundary]?: number } = {
  'log.hardState.begin': 20,
  'log.hardState.durable': 20,
  'log.entries.begin': 40,
  'log.entries.durable': 40,
  'state.apply.begin': 40,
  'state.commit.begin': 40,
  'state.commit.end': 40,
  'snapshot.written': 3,
  'snapshot.synced': 3,
  'snapshot.named': 3,
  'snapshot.published': 3,
  'snapshot.durable': 3,
  'file.node.json.written': 3,
  'file.node.json.synced': 3,
  'file.node.json.renamed': 3,
  'file.node.json.durable': 3
}

const TRIO: ReadonlySet<Boundary> = new Set<Boundary>([
  'incoming.begun',
  'incoming.whole',
  'log.install.begin',
  'log.install.durable',
  'log.truncation.begin',
  'log.truncation.durable',
  'file.peers.json.written',
  'file.peers.json.renamed'
])

/** Those of a new database and of a new cluster from an old one are in forming.test.ts. */
const IS_OF_FORMING = /^(?:database|restore|recover)\./

test('STO-06: a crash at each boundary that one node crosses loses nothing', LIMIT, async (t) => {
  const random = seeded(t)
  const lab = await Lab.open()
  t.teardown(() => lab.close(), { force: true })
  const rounds = Array.from({ length: ROUND_COUNT }, (_, round) => round)
  const cases = rounds.flatMap((round) =>
    BOUNDARIES.filter((boundary) => !TRIO.has(boundary) && !IS_OF_FORMING.test(boundary)).map(
      (boundary, at) => ({
        machine: `n${round}-${at}`,
        crash: { boundary, hit: 1 + randomBelow(random, HITS[boundary] ?? 1) }
      })
    )
  )
  const chosen = IS_FULL ? cases : drawn(cases, Math.ceil(cases.length / 2), random)
  await inParallel(chosen, async ({ machine, crash }) => {
    const result = await runLoner({
      lab,
      machine,
      random,
      options: { command: 'create', crash },
      writeCount: WRITE_COUNT,
      meanwhile: () => (isAboutCheckpoint(crash) ? putBulk(lab, machine) : Promise.resolve())
    })
    tally({ boundaries: 1 })
    const name = `${crash.boundary}, crossing ${crash.hit}`
    t.is(result.end.signal, 'SIGKILL', `${name}: reached`)
    t.is(result.violation, null, `${name}: nothing is lost or wrong`)
  })
})

test(
  'STO-06: a crash at each boundary that only a follower crosses loses nothing',
  LIMIT,
  async (t) => {
    const random = seeded(t)
    const lab = await Lab.open()
    t.teardown(() => lab.close(), { force: true })
    await lab.cluster(NAMES, ['--timing', 'lan', ...SMALL_STORAGE_FLAGS])
    await lab.voters('alder', 3)
    for (const boundary of IS_FULL ? TRIO : drawn([...TRIO], TRIO_COUNT, random)) {
      const victim = await prepared(lab, boundary)
      const crash = { boundary, hit: 1 }
      const node = new TestNode({ lab, machine: victim, command: 'start', crash })
      const { signal } = await node.ended
      tally({ boundaries: 1 })
      t.is(signal, 'SIGKILL', `${boundary}: reached`)
      await startNode(lab, victim)
      await lab.put(victim, boundary, 'after')
      const hashes = await stateHashes(lab, NAMES)
      t.is(new Set(hashes).size, 1, `${boundary}: all nodes hold the same state`)
    }
  }
)

function isAboutCheckpoint({ boundary }: CrashPoint): boolean {
  return boundary.startsWith('state.checkpoint')
}

/** Writes what makes a checkpoint due; the node may end meanwhile. */
async function putBulk(lab: Lab, machine: string): Promise<void> {
  const client = lab.client(machine)
  const value = new Uint8Array(BULK_BYTES)
  try {
    for (let count = 0; count < BULK_COUNT; count++) await client.kv.put(bytesOf('bulk'), value)
  } catch (error) {
    if (!(error instanceof AspenError)) throw error
  } finally {
    client.close()
  }
}

/** A machine that does not run, and whose next start crosses the boundary. */
function prepared(lab: Lab, boundary: Boundary): Promise<string> {
  if (/^(?:log\.install|incoming)\./.test(boundary)) return lagging(lab)
  return boundary.startsWith('log.') ? strandedLeader(lab) : forgetful(lab)
}

/** A follower without the hints where others are: they are written when a member is reached. */
async function forgetful(lab: Lab): Promise<string> {
  const machine = await follower(lab)
  await killNodes(lab, [machine])
  rmSync(join(lab.dataDir(machine), 'peers.json'), { force: true })
  return machine
}

/** A follower that was away for so long that the others have cut what it lacks from their logs. */
async function lagging(lab: Lab): Promise<string> {
  const machine = await follower(lab)
  const [other = machine] = NAMES.filter((name) => name !== machine)
  await killNodes(lab, [machine])
  for (let count = 0; count < MISSED_COUNT; count++) await lab.put(other, 'missed', String(count))
  return machine
}

async function follower(lab: Lab): Promise<string> {
  const leader = await lab.leader(NAMES)
  return NAMES.find((name) => name !== leader) ?? leader
}

/**
 * A node that has led and was killed with an entry in its log that nobody else has, while the others
 * went on without it: what its next start has to truncate.
 */
async function strandedLeader(lab: Lab): Promise<string> {
  const leader = await lab.leader(NAMES)
  const others = NAMES.filter((name) => name !== leader)
  await killNodes(lab, others)
  const client = lab.client(leader)
  const before = await lastIndex(lab, leader)
  const put = client.kv.put(bytesOf('stranded'), bytesOf(leader), { timeoutMs: 500 })
  await put.catch((error: unknown) => {
    if (!(error instanceof AspenError)) throw error
  })
  client.close()
  await killNodes(lab, [leader])
  await Promise.all(others.map((name) => startNode(lab, name)))
  const [first = leader] = others
  await waitFor('a leader without the stranded one', async () => {
    const status = await lab.status(first).catch(() => null)
    return status !== null && status.leader !== null && status.commit_index > before
  })
  await lab.put(first, 'meanwhile', leader)
  return leader
}

async function lastIndex(lab: Lab, machine: string): Promise<number> {
  return (await lab.status(machine)).commit_index
}
