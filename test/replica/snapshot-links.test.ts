// A snapshot from one state machine into another, over real links: what the parts promise each other holds
// when they meet.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { hexOf } from '../../lib/encoding.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import { askOver } from '../../lib/replica/snapshot-ask.ts'
import { SnapshotDesk } from '../../lib/replica/snapshot-desk.ts'
import { SnapshotTransfer } from '../../lib/replica/snapshot-transfer.ts'
import { MemoryStateMachine } from '../../lib/state-machine/memory-state-machine.ts'
import type { PreparedSnapshot, SnapshotInfo } from '../../lib/state-machine/state-machine.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import { MemoryHub } from '../../lib/transport/memory-network.ts'
import { found, GENESIS, LogMaker, put } from '../state-machine/samples.ts'
import { introduce, keyPairOf, makeNode, peersOf } from '../transport/harness.ts'

const LINK_DELAY_MS = 20

function bigLog(): readonly Entry[] {
  const log = new LogMaker()
  const member = {
    id: 1,
    publicKey: new Uint8Array(32).fill(9),
    role: 'voter',
    addresses: []
  } as const
  const first = [log.configuration({ members: [member], outgoing: [] }), log.control(found())]
  const value = (at: number): Uint8Array => new Uint8Array(100_000).fill(at)
  const writes = Array.from({ length: 60 }, (_, at) => log.write(put(`key ${at}`, value(at))))
  return [...first, ...writes, log.snapshot()]
}

function nodeOn(hub: MemoryHub, time: VirtualTime, id: NodeId) {
  const name = `node ${id}`
  const network = hub.network(keyPairOf(name), { host: '127.0.0.1', port: id })
  const node = makeNode({ name, id, network, clock: time, timers: time })
  const machine = MemoryStateMachine.open({
    genesis: GENESIS,
    defer: (fn) => time.soon(fn),
    onFailed: (error) => {
      throw error
    }
  })
  const prepared: PreparedSnapshot[] = []
  const role = id === 1 ? ('leader' as const) : ('follower' as const)
  const transfer = new SnapshotTransfer<PreparedSnapshot>({
    clock: time,
    timers: time,
    ask: askOver((to, payload, onAnswer) => node.links.requestSnapshot(to, payload, onAnswer)),
    snapshots: machine.snapshots,
    status: () => ({ role, term: 1, leader: 1, commitIndex: machine.applied().index }),
    logBase: () => 0,
    sources: () => node.links.links().map((link) => link.id),
    onPrepared: (each) => prepared.push(each),
    onServed: () => {},
    onNoneHere: () => {}
  })
  const desk = new SnapshotDesk({
    log: { entries: () => [], idAt: () => 'missing' },
    transfer,
    snapshots: machine.snapshots,
    verdicts: {
      core: { status: () => ({ role, term: 1 }), idAt: () => 'missing' },
      readIndex: (onOutcome) => time.soon(() => onOutcome({ kind: 'refused', reason: 'notLeader' }))
    },
    onNoneHere: () => {},
    onFailed: (error) => {
      throw error
    }
  })
  node.recorder.onSnapshotRequest = (from, payload, answer) => desk.onRequest(from, payload, answer)
  return { node, machine, transfer, prepared }
}

void test('a state machine becomes what another is, over links', async (t) => {
  const time = new VirtualTime()
  const hub = new MemoryHub({
    clock: time,
    timers: time,
    delayMs: LINK_DELAY_MS,
    linkTimeoutMs: 2_500
  })
  const [leader, other, receiver] = [
    nodeOn(hub, time, 1),
    nodeOn(hub, time, 2),
    nodeOn(hub, time, 3)
  ]
  const nodes = [leader, other, receiver].map((each) => each.node)
  for (const { links } of nodes) await links.open()
  introduce(nodes)
  for (const { links } of nodes) links.setPeers(peersOf(nodes))
  const entries = bigLog()
  const made: (SnapshotInfo | null)[] = []
  for (const { machine } of [leader, other]) {
    machine.apply(entries, () => {})
    await time.run(10)
    machine.snapshot({ onBegun: () => {}, onEnded: (info) => made.push(info) })
  }
  await time.run(5_000)
  const info = present(made[0], 'a snapshot')
  t.alike(made[1], info, 'both made the same one')
  t.ok(info.chunkCount > 90, `${info.chunkCount} chunks`)
  leader.transfer.onSnapshotsNeeded([3])
  const startMs = time.nowMs()
  t.ok(await time.runUntil(() => receiver.prepared.length === 1, 60_000))
  t.comment(`${info.byteCount} bytes in ${time.nowMs() - startMs} ms, ${LINK_DELAY_MS} ms one way`)
  receiver.machine.adopt(present(receiver.prepared[0], 'what was prepared'), () => {})
  await time.run(100)
  receiver.transfer.onSettled()
  const [ours, theirs] = [receiver.machine.applied(), leader.machine.applied()]
  t.is(ours.index, theirs.index)
  t.is(hexOf(ours.stateHash), hexOf(theirs.stateHash))
  t.alike(receiver.machine.snapshots.list(), [info], 'and serves it to the next one')
  for (const { transfer, node } of [leader, other, receiver]) {
    transfer.close()
    await node.links.close()
  }
})
