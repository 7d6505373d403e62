// A backup as the first state of another cluster: the keys, and nobody of the old one.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { genesis } from '../../lib/raft/entry.ts'
import type { SnapshotRecord } from '../../lib/state-machine/snapshot-encoding.ts'
import { withoutSecrets } from '../../lib/state-machine/snapshot-encoding.ts'
import { SnapshotReader } from '../../lib/state-machine/snapshot-stream.ts'
import { Rebasing } from '../../lib/state-machine/stream-rebase.ts'
import {
  LogMaker,
  admitKey,
  applied,
  createInvite,
  cut,
  found,
  key32,
  openSqlite,
  put,
  streamOf
} from './samples.ts'

const member = (id: number) => ({
  id,
  publicKey: key32(id === 1 ? 200 : 20 + id),
  role: 'voter' as const,
  addresses: []
})

function recordsOf(stream: Uint8Array): readonly SnapshotRecord[] {
  const reader = new SnapshotReader()
  const records = [...reader.push(stream)]
  reader.end()
  return records
}

test('members, removed nodes, tickets and times of the old cluster stay behind', async (t) => {
  const folder = await t.tmp()
  const machine = openSqlite(folder)
  t.teardown(() => machine.close())
  const log = new LogMaker()
  await applied(machine, [
    log.configuration({ members: [member(1)], outgoing: [] }),
    log.control(found()),
    log.control(createInvite(10)),
    log.control(admitKey(22)),
    log.control(admitKey(23)),
    log.configuration({ members: [member(1), member(2), member(3)], outgoing: [] }),
    log.configuration({ members: [member(1), member(2)], outgoing: [] }),
    log.write(put('k', 'v'))
  ])
  t.is(machine.trust().removed.length, 1)
  t.ok(machine.applied().votersChangedMs > 0)
  const info = await cut(machine)
  if (info === null) return t.fail('a snapshot')
  const old = recordsOf(await streamOf(machine, info))
  t.alike(
    old.map((each) => each.kind),
    ['head', 'node', 'node', 'removed', 'invite', 'row', 'key', 'end']
  )

  const begin = genesis(new Uint8Array(16).fill(9))
  const id = { index: info.index, term: info.term, hash: key32(77) }
  const configuration = { members: [{ ...member(1), publicKey: key32(99) }], outgoing: [] }
  const path = join(folder, 'rebased.snap')
  const rebasing = new Rebasing(path, { genesis: begin, id, configuration })
  for (const each of old) {
    const kept = each.kind === 'head' || each.kind === 'end' ? each : withoutSecrets(each)
    if (kept !== null) rebasing.add(kept)
  }
  rebasing.end()
  const records = recordsOf(new Uint8Array(readFileSync(path)))
  t.alike(
    records.map((each) => each.kind),
    ['head', 'row', 'key', 'end']
  )
  const [head] = records
  if (head?.kind !== 'head') return t.fail('a head')
  t.alike([head.epoch, head.nextNodeId, head.applied.votersChangedMs], [0, 1, 0])
  t.alike(head.applied.configuration, configuration)
  t.is(head.applied.liveCount, 1)
})
