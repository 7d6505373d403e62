// Snapshots: the same log makes the same bytes in both state machines, however it was applied; and a machine
// that adopts a snapshot is what one is that applied the whole log.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { hexOf } from '../../lib/encoding.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import type { StateMachine } from '../../lib/state-machine/state-machine.ts'
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

function view(machine: StateMachine): unknown {
  return { applied: machine.applied(), trust: machine.trust(), rows: all(machine) }
}
