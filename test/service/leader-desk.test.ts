// The desk of a leader, alone: for whom it carries something out.

import test from 'brittle'
import { MEMBERSHIP_COOLDOWN_MS } from '../../lib/limits.ts'
import type { Outcome } from '../../lib/replica/proposals.ts'
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

interface World {
  appliedTerm: number
  appliedConfigurationIndex: number
  votersChangedMs: number
  nodes: NodeRecord[]
  isProposed: boolean
  /** null: none yet */
  snapshotOutcome: Outcome | null
}

/** Node 1, which leads term 3 in a world that the test makes. */
function scene() {
  const time = new VirtualTime()
  const replica = new StillReplica()
  replica.status = { ...replica.status, role: 'leader', leader: 1, term: 3 }
  const world: World = {
    appliedTerm: 3,
    appliedConfigurationIndex: 9,
    votersChangedMs: 0,
    nodes: [RECORD, { ...RECORD, id: 4 }],
    isProposed: false,
    snapshotOutcome: null
  }
  const propose = (): void => {
    world.isProposed = true
  }
  const desk = new LeaderDesk({
    id: 1,
    clock: time,
    timers: time,
    heartbeatMs: 150,
    replica: {
      get status() {
        return replica.status
      },
      change: propose
    },
    stateMachine: {
      trust: () => ({ ...EMPTY_TRUST, nodes: world.nodes }),
      applied: () => ({
        index: 9,
        term: world.appliedTerm,
        timeMs: 0,
        configuration: replica.status.configuration,
        configurationIndex: world.appliedConfigurationIndex,
        votersChangedMs: world.votersChangedMs
      })
    },
    isLinked: () => true,
    isOpen: () => true,
    handOver: () => Promise.resolve(),
    whyUnfit: () => null,
    snapshots: {
      isSupported: () => true,
      propose: (onOutcome) => {
        propose()
        if (world.snapshotOutcome !== null) onOutcome(world.snapshotOutcome)
      }
    },
    onChange: () => {},
    events: { info: () => {}, warn: () => {} }
  })
  return { time, replica, world, desk }
}

test('what a member asked that is removed meanwhile is not carried out', async (t) => {
  const { time, world, desk } = scene()
  world.appliedTerm = 2
  const asked = desk.carryOut({ kind: 'snapshot', newest: 0 }, 1_000, 4)
  await time.run(100)
  // the last entry that the former leader committed removes it
  world.nodes = [RECORD]
  world.appliedTerm = 3
  const end = await time.settled(asked, 1_000)
  t.is(end.kind === 'failed' && end.error.code, 'MEMBER_REMOVED')
  t.absent(world.isProposed)
})

test('a change that is committed and not applied yet is waited for: the pause after it counts', async (t) => {
  const { time, replica, world, desk } = scene()
  const nowMs = 10 * MEMBERSHIP_COOLDOWN_MS
  const at = { configurationIndex: 9, commitIndex: 9, lastIndex: 9, logTimeMs: nowMs }
  replica.status = { ...replica.status, ...at }
  world.appliedConfigurationIndex = 7
  const order = { kind: 'promote', learnerId: 4, replaceNode: null, force: false } as const
  const asked = desk.carryOut(order, 5_000, 1)
  await time.run(100)
  world.appliedConfigurationIndex = 9
  world.votersChangedMs = nowMs
  const end = await time.settled(asked, 1_000)
  t.is(end.kind === 'failed' && end.error.code, 'MEMBERSHIP_CHANGE_TOO_RECENT')
})

test('a snapshot entry that may be committed or not is no reason to say that nothing happened', async (t) => {
  const { time, replica, world, desk } = scene()
  replica.status = { ...replica.status, lastIndex: 9 }
  const ends: string[] = []
  for (const outcome of [{ kind: 'unknown' }, { kind: 'refused', reason: 'notLeader' }] as const) {
    world.snapshotOutcome = outcome
    const end = await time.settled(desk.carryOut({ kind: 'snapshot', newest: 0 }, 5_000, 1), 1_000)
    ends.push(end.kind === 'failed' ? end.error.code : end.kind)
  }
  t.alike(ends, ['OUTCOME_UNKNOWN', 'again'])
})
