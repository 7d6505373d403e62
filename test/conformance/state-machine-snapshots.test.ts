// Snapshots: the same log makes the same bytes in both state machines, however it was applied; and a machine
// that adopts a snapshot is what one is that applied the whole log.

import test from 'brittle'
import type { Assert } from 'brittle'
import { present } from '../../lib/assert.ts'
import { hexOf, textOf } from '../../lib/encoding.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import { SnapshotReader } from '../../lib/state-machine/snapshot-stream.ts'
import type { SnapshotInfo, StateMachine } from '../../lib/state-machine/state-machine.ts'
import { all, check, implementations } from '../state-machine/implementations.ts'
import {
  LogMaker,
  admit,
  adopted,
  applied,
  asBytes,
  chunkAt,
  createInvite,
  cut,
  del,
  found,
  key32,
  manifestOf,
  put,
  requestOf,
  streamOf,
  transferred
} from '../state-machine/samples.ts'

/** A log in which everything that a snapshot holds comes up. */
function richLog(log: LogMaker): Entry[] {
  const member = { id: 1, publicKey: key32(200), role: 'voter', addresses: [] } as const
  return [
    log.configuration({ members: [member], outgoing: [] }),
    log.control(found()),
    log.control(createInvite(10)),
    log.control(createInvite(11, { uses: 1 })),
    log.control(admit(11, 21)),
    log.control({ kind: 'revokeInvite', publicKey: key32(10) }),
    log.write(put('a', '1'), put('b', '2'), put('c', '3')),
    log.request(requestOf(1, 1), put('a', 'eins')),
    log.request(requestOf(2, 1), put('d', '4', { kind: 'absent' })),
    log.request(requestOf(2, 2), del('zzz', { kind: 'revision', revision: 3 })),
    log.write(del('b')),
    log.write(put('b', 'again')),
    log.write(put('big', new Uint8Array(200_000).fill(7))),
    log.write(del('c')),
    log.control({ kind: 'raiseFeatureLevel', level: 1 }),
    log.compact(9),
    log.write(put('a', '3'), put('empty', '')),
    log.snapshot()
  ]
}

check('a snapshot is made, listed and read, and is named by its content', async (t, machine) => {
  const log = new LogMaker()
  await applied(machine, richLog(log))
  let hasBegun = false
  const info = present(
    await cut(machine, () => {
      hasBegun = true
    }),
    'a snapshot'
  )
  t.ok(hasBegun)
  const { index, term, hash } = machine.applied()
  t.alike([info.index, info.term, info.chainHash], [index, term, hash])
  t.alike(machine.snapshots.list(), [info])
  const stream = await streamOf(machine, info)
  t.is(stream.byteLength, info.byteCount)
  t.is(info.chunkCount, 4)
  t.is((await manifestOf(machine, info))?.byteLength, 4 * 32)
  t.absent(await chunkAt(machine, info, 4))
  t.absent(await chunkAt(machine, { ...info, contentHash: key32(9) }, 0))
  t.absent(await manifestOf(machine, { ...info, index: 3 }))
  t.alike(await cut(machine), info, 'asked again, it is the same one')
})

test('both machines make the same bytes of the same log', async (t) => {
  const streams = new Set<string>()
  for (const { open } of implementations) {
    for (const size of [1, 5, 100]) {
      const machine = await open(t)
      const entries = richLog(new LogMaker())
      for (let from = 0; from < entries.length; from += size)
        await applied(machine, entries.slice(from, from + size))
      const info = present(await cut(machine), 'a snapshot')
      streams.add(hexOf(await streamOf(machine, info)) + hexOf(info.contentHash))
      await machine.close()
    }
  }
  t.is(streams.size, 1)
})

check(
  'a machine that adopts a snapshot is as one that applied the whole log',
  async (t, machine) => {
    for (const { name, open } of implementations) {
      const log = new LogMaker()
      const source = await open(t)
      await applied(source, richLog(log))
      const info = present(await cut(source), 'a snapshot')
      const target = name === 'memory' ? machine : await open(t)
      await applied(target, [new LogMaker().write(put('other', 'before'))])
      const snapshot = await transferred(source, info, target)
      t.alike(snapshot.info, info)
      t.alike(snapshot.configuration, source.applied().configuration)
      t.is(snapshot.configurationIndex, 1)
      t.is(target.applied().index, 1, 'nothing has changed')
      t.ok(target.get(asBytes('other')))
      await adopted(target, snapshot)
      t.alike(view(target), view(source))
      t.alike(target.snapshots.list(), [info])
      // the sessions too: what was carried out is not carried out again
      const more = [
        log.request(requestOf(2, 1), put('d', 'twice')),
        log.request(requestOf(2, 3), put('e', 'new')),
        log.control(admit(10, 30)),
        log.write(put('b', 'x'), del('a')),
        log.compact(19),
        log.snapshot()
      ]
      t.alike(await applied(target, more), await applied(source, more))
      t.alike(view(target), view(source))
      t.alike(await cut(target), await cut(source))
      await source.close()
      if (target !== machine) await target.close()
    }
  }
)

check('history is forgotten up to a revision, and never comes back', async (t, machine) => {
  const log = new LogMaker()
  await applied(machine, [log.write(put('a', '1')), log.write(put('a', '2')), log.write(del('a'))])
  const [first, again, less, early] = await applied(machine, [
    log.compact(2),
    log.compact(2),
    log.compact(1),
    log.compact(7)
  ])
  t.alike(first, { kind: 'compacted', revision: 2 })
  t.alike(again, first)
  t.alike(less, first)
  t.is(early?.kind === 'refused' && early.error.code, 'INVALID_REQUEST')
  t.is(machine.applied().compactedRevision, 2)
  const rows = async (): Promise<unknown> => {
    const info = present(await cut(machine), 'a snapshot')
    return rowsOf(await streamOf(machine, info))
  }
  t.alike(await rows(), ['a 2 0 v2', 'a 3 2 tombstone'], 'what 3 superseded is still history')
  await applied(machine, [log.write(put('b', '1')), log.compact(8)])
  t.alike(await rows(), ['b 8 0 v1'], 'a key that was deleted has left nothing')
  t.is(machine.applied().liveCount, 1)
  t.is(machine.applied().liveBytes, 2)
})

check('the feature level rises and never falls', async (t, machine) => {
  const log = new LogMaker()
  const results = await applied(machine, [
    log.control({ kind: 'raiseFeatureLevel', level: 1 }),
    log.control({ kind: 'raiseFeatureLevel', level: 0 })
  ])
  t.alike(results, [
    { kind: 'levelRaised', level: 1 },
    { kind: 'levelRaised', level: 1 }
  ])
  t.is(machine.applied().featureLevel, 1)
})

check('two snapshots are kept, the newest first', async (t, machine) => {
  const log = new LogMaker()
  const made: (SnapshotInfo | null)[] = []
  for (let round = 0; round < 3; round++) {
    await applied(machine, [log.write(put('a', `${round}`)), log.snapshot()])
    made.unshift(await cut(machine))
  }
  t.alike(machine.snapshots.list(), made.slice(0, 2))
})

check(
  'while one is being made another one is refused, and applying goes on',
  async (t, machine) => {
    const log = new LogMaker()
    await applied(machine, richLog(log))
    const ended: (number | null)[] = []
    const begun = await new Promise<Promise<void>>((resolve) => {
      const all1 = new Promise<void>((done) => {
        machine.snapshot({
          onBegun: () => resolve(all1),
          onEnded: (info) => {
            ended.push(info?.index ?? null)
            done()
          }
        })
      })
    }).then((ending) => ({ ending }))
    await applied(machine, [log.write(put('a', 'meanwhile'))])
    if (ended.length === 0) t.is(await cut(machine), null)
    await begun.ending
    t.alike(ended, [18])
    t.is(machine.applied().index, 19)
  }
)

check('a chunk that is not what it should be is not kept', async (t, machine) => {
  const { source, info } = await sourceOf(t)
  const manifest = present(await manifestOf(source, info), 'the manifest')
  const wrong = manifest.slice()
  wrong[3] = (wrong[3] ?? 0) ^ 1
  t.is(machine.snapshots.receive(info, wrong), null)
  t.is(machine.snapshots.receive(info, manifest.subarray(32)), null)
  const incoming = present(machine.snapshots.receive(info, manifest), 'an incoming snapshot')
  t.alike(incoming.missing(), [0, 1, 2, 3])
  const first = present(await chunkAt(source, info, 0), 'a chunk')
  t.is(incoming.put(1, first), 'bad')
  t.is(incoming.put(0, first.subarray(1)), 'bad')
  t.is(incoming.put(4, first), 'bad')
  t.is(incoming.put(-1, first), 'bad')
  t.is(incoming.put(0, first), 'kept')
  t.is(incoming.put(0, first), 'kept', 'twice is as good as once')
  t.alike(incoming.missing(), [1, 2, 3])
  const again = present(machine.snapshots.receive(info, manifest), 'the same one')
  t.alike(again.missing(), [1, 2, 3], 'it goes on')
  again.discard()
  t.alike(machine.snapshots.receive(info, manifest)?.missing(), [0, 1, 2, 3])
  t.alike(machine.snapshots.list(), [])
  await source.close()
})

check('a snapshot that is here already needs no chunk', async (t, machine) => {
  const { source, info } = await sourceOf(t)
  await adopted(machine, await transferred(source, info, machine))
  const manifest = present(await manifestOf(source, info), 'the manifest')
  t.alike(machine.snapshots.receive(info, manifest)?.missing(), [])
  t.alike(machine.snapshots.list(), [info])
  await source.close()
})

/** A machine with a snapshot. */
async function sourceOf(t: Assert): Promise<{ source: StateMachine; info: SnapshotInfo }> {
  const source = await present(implementations[0], 'the machine in memory').open(t)
  await applied(source, richLog(new LogMaker()))
  return { source, info: present(await cut(source), 'a snapshot') }
}

/** The history in a stream: key, revision, superseded revision, version. */
function rowsOf(stream: Uint8Array): string[] {
  const reader = new SnapshotReader()
  const rows: string[] = []
  for (const each of reader.push(stream)) {
    if (each.kind !== 'row') continue
    const what = each.value === null ? 'tombstone' : `v${each.version}`
    rows.push(`${textOf(each.key)} ${each.revision} ${each.supersededRevision} ${what}`)
  }
  reader.end()
  return rows
}

function view(machine: StateMachine): unknown {
  return { applied: machine.applied(), trust: machine.trust(), rows: all(machine) }
}
