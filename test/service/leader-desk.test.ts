// The desk of a leader, alone: for whom it carries something out.

import test from 'brittle'
import { EMPTY_CONFIGURATION } from '../../lib/raft/configuration.ts'
import { LeaderDesk } from '../../lib/service/leader-desk.ts'
import { EMPTY_TRUST } from '../../lib/state-machine/trust.ts'
import type { NodeRecord } from '../../lib/state-machine/state-machine.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import { StillReplica } from './leader.ts'

const RECORD: NodeRecord = {
  id: 1,
  publicKey: new Uint8Array(32),
  name: 'alder',
  version: '',
  addresses: [],
  role: 'voter',
  epoch: 1,
  sealedSecret: new Uint8Array(80),
  invitePublicKey: null,
  admittedIndex: 1
}

test('what a member asked that is removed meanwhile is not carried out', async (t) => {
  const time = new VirtualTime()
  const replica = new StillReplica()
  replica.status = { ...replica.status, role: 'leader', leader: 1, term: 3 }
  const world = { appliedTerm: 2, nodes: [RECORD, { ...RECORD, id: 4 }], isProposed: false }
  const desk = new LeaderDesk({
    id: 1,
    clock: time,
    timers: time,
    heartbeatMs: 150,
    replica: {
      status: replica.status,
      change: () => {
        world.isProposed = true
      }
    },
    stateMachine: {
      trust: () => ({ ...EMPTY_TRUST, nodes: world.nodes }),
      applied: () => ({
        index: 9,
        term: world.appliedTerm,
        timeMs: 0,
        configuration: EMPTY_CONFIGURATION,
        configurationIndex: 9,
        votersChangedMs: 0
      })
    },
    isLinked: () => true,
    isOpen: () => true,
    handOver: () => Promise.resolve(),
    whyUnfit: () => null,
    snapshots: {
      isSupported: () => true,
      propose: () => {
        world.isProposed = true
      }
    },
    onChange: () => {},
    events: { info: () => {}, warn: () => {} }
  })
  const asked = desk.carryOut({ kind: 'snapshot', newest: 0 }, 1_000, 4)
  await time.run(100)
  // the last entry that the former leader committed removes it
  world.nodes = [RECORD]
  world.appliedTerm = 3
  const end = await time.settled(asked, 1_000)
  t.is(end.kind === 'failed' && end.error.code, 'MEMBER_REMOVED')
  t.absent(world.isProposed)
})
