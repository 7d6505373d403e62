// Restoring and recovering on the disk, without a network: what a directory holds after each, and after an end in
// the middle.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import type { Assert } from 'brittle'
import { present } from '../../lib/assert.ts'
import { hexOf } from '../../lib/encoding.ts'
import { AspenError } from '../../lib/errors.ts'
import { LmdbLogStore } from '../../lib/log-store/lmdb-log-store.ts'
import { DataDirectory } from '../../lib/node/data-directory.ts'
import { readMembership, writeMembership } from '../../lib/node/membership.ts'
import { planOf } from '../../lib/node/plan.ts'
import { recover } from '../../lib/node/recovering.ts'
import { restore, verifiedBackup } from '../../lib/node/restoring.ts'
import { verifyNode } from '../../lib/node/verifying.ts'
import { chained, ENTRY_KIND, genesis } from '../../lib/raft/entry.ts'
import { systemRandom } from '../../lib/random.ts'
import { encodeWrite } from '../../lib/state-machine/encoding.ts'
import { inspectState } from '../../lib/state-machine/inspect.ts'
import { backupOf, CLUSTER_ID, richMachine } from '../state-machine/backups.ts'
import { put } from '../state-machine/samples.ts'

const NOTHING = { name: 'alder', bootstrap: null, timing: null, storage: null }
const quiet = (): void => {}

/** A directory that holds what `restore` has made of a rich backup. */
async function restoredDirectory(t: Assert): Promise<DataDirectory> {
  const folder = await t.tmp()
  const path = join(folder, 'backup')
  writeFileSync(path, await backupOf(await richMachine(t), folder))
  const directory = DataDirectory.open(join(folder, 'node'))
  t.teardown(() => directory.close())
  const header = await verifiedBackup(path, quiet)
  await restore(directory, { path, header, settings: NOTHING, onProgress: quiet })
  return directory
}

/** As a member of its cluster, with two entries in its log that nobody knows to be committed. */
async function memberDirectory(t: Assert): Promise<DataDirectory> {
  const directory = await restoredDirectory(t)
  const membership = present(readMembership(directory), 'node.json')
  writeMembership(directory, { ...membership, state: 'member', httpPort: 7_171 })
  writeFileSync(join(directory.path, 'peers.json'), '{}')
  const { store, restored } = await LmdbLogStore.open({
    directory: directory.logDir,
    genesis: genesis(membership.clusterId),
    random: systemRandom,
    onFailed: (error) => t.fail(error.message)
  })
  const content = { term: 1, kind: ENTRY_KIND.write, timeMs: 1_800_000_000_000 }
  const first = chained(store.last, {
    ...content,
    payload: encodeWrite({ changes: [put('late', '1')] })
  })
  const second = chained(first, {
    ...content,
    payload: encodeWrite({ changes: [put('later', '2')] })
  })
  const { hardState } = restored
  await new Promise<void>((resolve) => {
    store.write({ hardState, install: null, truncateFrom: null, entries: [first, second] }, resolve)
  })
  await store.close()
  return directory
}

function keyCount(directory: DataDirectory): number | undefined {
  const { clusterId } = present(readMembership(directory), 'node.json')
  const [name = ''] = readdirSync(directory.stateDir)
  const state = inspectState(directory.stateDir, Number.parseInt(name, 10), genesis(clusterId).hash)
  return state?.progress?.applied.liveCount
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'done',
    (error: unknown) => (error instanceof AspenError ? error.code : String(error))
  )
}

test('a restored directory is whole, private, and another cluster', async (t) => {
  const directory = await restoredDirectory(t)
  const membership = present(readMembership(directory), 'node.json')
  t.is(membership.state, 'creating', 'create goes on with it')
  t.not(hexOf(membership.clusterId), hexOf(CLUSTER_ID))
  const verified = await verifyNode(directory, () => 0, quiet)
  t.alike(verified.faults, [])
  t.is(verified.applied?.liveCount, 4)
  t.is(verified.applied?.index, 13)
  t.is(verified.log?.lastLogIndex, 13)
  t.is(verified.log?.lastSnapshotIndex, 13)
  t.is(verified.snapshots.length, 1, 'joiners have something to fetch at once')
  t.is(verified.applied?.compactedRevision, 9)
  for (const folder of ['log', 'state', 'snapshots']) {
    const path = join(directory.path, folder)
    t.is(statSync(path).mode & 0o777, 0o700)
    for (const name of readdirSync(path)) t.is(statSync(join(path, name)).mode & 0o777, 0o600, name)
  }
})

test('a restore that was interrupted is started by nobody, and begins again', async (t) => {
  const folder = await t.tmp()
  const path = join(folder, 'backup')
  writeFileSync(path, await backupOf(await richMachine(t), folder))
  const directory = await restoredDirectory(t)
  const membership = present(readMembership(directory), 'node.json')
  writeMembership(directory, { ...membership, state: 'restoring' })
  writeFileSync(join(directory.stateDir, '13.db'), 'half of it')
  for (const kind of ['create', 'start'] as const) {
    const options = { ...NOTHING, intent: { kind } }
    try {
      planOf(options, readMembership(directory), directory)
      t.fail('it was started')
    } catch (error) {
      t.ok(error instanceof AspenError && error.code === 'NO_CLUSTER_HERE')
    }
  }
  const header = await verifiedBackup(path, quiet)
  await restore(directory, { path, header, settings: NOTHING, onProgress: quiet })
  t.alike((await verifyNode(directory, () => 0, quiet)).faults, [])
})

test('a directory with a node is left alone, and so is one when the backup is damaged', async (t) => {
  const directory = await restoredDirectory(t)
  const before = readFileSync(join(directory.path, 'node.json'), 'utf8')
  const folder = await t.tmp()
  const path = join(folder, 'backup')
  const bytes = (await backupOf(await richMachine(t), folder)).slice()
  writeFileSync(path, bytes)
  const header = await verifiedBackup(path, quiet)
  const options = { path, header, settings: NOTHING, onProgress: quiet }
  t.is(await codeOf(restore(directory, options)), 'DATA_DIR_TAKEN')
  t.is(readFileSync(join(directory.path, 'node.json'), 'utf8'), before)
  bytes[bytes.byteLength - 50] = 0xee
  writeFileSync(path, bytes)
  t.is(await codeOf(verifiedBackup(path, quiet)), 'CORRUPTED')
  writeFileSync(path, 'no backup')
  t.is(await codeOf(verifiedBackup(path, quiet)), 'CORRUPTED')
})

test('a recovery keeps all that the log has, and gives the old node up for good', async (t) => {
  const directory = await memberDirectory(t)
  const old = present(readMembership(directory), 'node.json')
  const oldKey = readFileSync(join(directory.path, 'node.key'), 'utf8')
  const { header, uncertain, lostDir } = await recover(directory, quiet)
  t.is(header?.index, 15)
  t.alike(header?.clusterId, old.clusterId)
  t.alike(uncertain, { from: 13, to: 15 })
  t.is(lostDir, join(directory.path, `lost-${hexOf(old.clusterId).slice(0, 12)}`))
  const membership = present(readMembership(directory), 'node.json')
  t.is(membership.state, 'creating')
  t.is(membership.httpPort, 7_171)
  t.not(hexOf(membership.clusterId), hexOf(old.clusterId))
  t.not(readFileSync(join(directory.path, 'node.key'), 'utf8'), oldKey)
  t.is(readFileSync(join(lostDir, 'node.key'), 'utf8'), oldKey)
  t.is(keyCount(directory), 6)
  t.alike((await verifyNode(directory, () => 0, quiet)).faults, [])
  t.absent(existsSync(join(directory.path, 'recovering')))
  t.absent(existsSync(join(directory.path, 'peers.json')))
  const lost = DataDirectory.open(lostDir)
  for (const kind of ['create', 'start'] as const) {
    try {
      planOf({ ...NOTHING, intent: { kind } }, readMembership(lost), lost)
      t.fail('the old node was started')
    } catch (error) {
      t.ok(error instanceof AspenError && error.code === 'FENCED')
    }
  }
  t.is(await codeOf(recover(lost, quiet)), 'FENCED', 'nor is anything recovered from it again')
  lost.close()
})

test('a recovery that was interrupted goes on, wherever that was', async (t) => {
  const parts = ['node.key', 'log', 'state', 'snapshots']
  for (const moved of [0, 2, 4, 5, 8]) {
    const directory = await memberDirectory(t)
    const { lostDir } = await recover(directory, quiet)
    const newKey = readFileSync(join(directory.path, 'node.key'), 'utf8')
    // back to the moment when so many parts had been moved: first the old ones away, then the new ones up
    const from = join(directory.path, 'recovering')
    mkdirSync(from, { mode: 0o700 })
    renameSync(join(directory.path, 'node.json'), join(from, 'node.json'))
    copyFileSync(join(lostDir, 'node.json'), join(directory.path, 'node.json'))
    for (const [at, name] of parts.entries()) {
      if (moved < parts.length + at + 1) renameSync(join(directory.path, name), join(from, name))
      if (moved < at + 1) renameSync(join(lostDir, name), join(directory.path, name))
    }
    const plan = { ...NOTHING, intent: { kind: 'start' } as const }
    t.is(
      planned(() => planOf(plan, readMembership(directory), directory)),
      'FENCED'
    )
    const again = await recover(directory, quiet)
    t.is(again.header, null)
    t.is(readFileSync(join(directory.path, 'node.key'), 'utf8'), newKey, `${moved} moved`)
    t.is(keyCount(directory), 6)
    t.alike((await verifyNode(directory, () => 0, quiet)).faults, [])
    t.alike(readdirSync(lostDir).toSorted(), [
      'log',
      'node.json',
      'node.key',
      'peers.json',
      'snapshots',
      'state'
    ])
  }
})

test('verify names what is wrong with each part', async (t) => {
  const directory = await restoredDirectory(t)
  const partsOf = async (): Promise<string> =>
    (await verifyNode(directory, () => 0, quiet)).faults.map(({ part }) => part).join()
  const spoil = (path: string, at: number): void => {
    const bytes = readFileSync(path)
    bytes[at] = (bytes[at] ?? 0) ^ 0x10
    writeFileSync(path, bytes)
  }
  const [snapshot = ''] = readdirSync(directory.snapshotsDir).filter((name) =>
    name.endsWith('.snap')
  )
  const stream = join(directory.snapshotsDir, snapshot)
  spoil(stream, 100)
  t.is(await partsOf(), 'snapshots')
  spoil(stream, 100)
  const manifest = stream.replace('.snap', '.manifest')
  spoil(manifest, 20)
  t.is(await partsOf(), 'snapshots')
  spoil(manifest, 20)
  const database = join(directory.stateDir, '13.db')
  const at = readFileSync(database).indexOf('again')
  t.ok(at > 0, 'a value lies in the database')
  spoil(database, at)
  t.is(await partsOf(), 'state')
  spoil(database, at)
  t.is(await partsOf(), '')
  writeFileSync(join(directory.path, 'node.key'), 'no key')
  t.is(await partsOf(), 'node.key')
  renameSync(directory.logDir, `${directory.logDir}-away`)
  t.is(await partsOf(), 'node.key,log')
})

function planned(plan: () => unknown): string {
  try {
    plan()
    return 'planned'
  } catch (error) {
    return error instanceof AspenError ? error.code : String(error)
  }
}
