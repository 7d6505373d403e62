// What a node says of its own health, for each thing that can be wrong with it.

import test from 'brittle'
import type { DiskState } from '../../lib/cluster/disk-watch.ts'
import { KeyValueStoreError } from '../../lib/errors.ts'
import { STALLED_MS, WEDGED_MS } from '../../lib/health-limits.ts'
import { MAX_PROMOTION_LAG } from '../../lib/limits.ts'
import type { Status as CoreStatus } from '../../lib/raft/effects.ts'
import type { Alarm, Status } from '../../lib/service/documents.ts'
import { NodeHealth } from '../../lib/service/node-health.ts'
import type { StorageSizes } from '../../lib/service/node-health.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'

const MIB = 1024 * 1024
const MEMBER = { id: 1, publicKey: new Uint8Array(32), role: 'voter' as const, addresses: [] }

interface World {
  state: Status['state']
  role: Status['role']
  coreRole: CoreStatus['role']
  leader: number | null
  appliedIndex: number
  isMember: boolean
  waits: { writeMs: number; applyMs: number }
  alarms: readonly Alarm[]
  hasFailed: boolean
  disk: DiskState | null
  sizes: StorageSizes | null
  onConfirm: () => void
  isReadable: boolean
}

function healthOf(overrides: Partial<World> = {}): NodeHealth {
  const world: World = {
    state: 'healthy',
    role: 'voter',
    coreRole: 'leader',
    leader: 1,
    appliedIndex: 500,
    isMember: true,
    waits: { writeMs: 0, applyMs: 0 },
    alarms: [],
    hasFailed: false,
    disk: null,
    sizes: null,
    isReadable: true,
    onConfirm: () => {},
    ...overrides
  }
  const status: CoreStatus = {
    role: world.coreRole,
    term: 4,
    leader: world.leader,
    commitIndex: 500,
    lastIndex: 500,
    lastTerm: 4,
    durableIndex: 500,
    onDisk: { term: 4, lastIndex: 500 },
    configuration: { members: world.isMember ? [MEMBER] : [], outgoing: [] },
    configurationIndex: 1,
    transferTarget: null,
    logTimeMs: 0,
    leaderHeardMs: null,
    wrongClocks: [],
    progress: new Map()
  }
  const refused = new KeyValueStoreError({ code: 'UNAVAILABLE', message: 'nobody leads' })
  return new NodeHealth({
    id: 1,
    clock: new VirtualTime(),
    startedMs: 0,
    replica: { status, appliedIndex: world.appliedIndex, waits: world.waits },
    view: { state: () => world.state, role: () => world.role, failureTolerance: () => 1 },
    alarms: { isOn: (alarm) => world.alarms.includes(alarm), list: () => [...world.alarms] },
    forwarder: {
      confirmRead: () => {
        world.onConfirm()
        return world.isReadable ? Promise.resolve(1) : Promise.reject(refused)
      }
    },
    isInTouch: () => world.leader !== null,
    hasFailed: () => world.hasFailed,
    disk: () => world.disk,
    sizes: () => world.sizes
  })
}

/** The status, and the checks that are not ok. */
function verdictOf(overrides: Partial<World>): string[] {
  const { status, checks } = healthOf(overrides).health()
  const failed = Object.entries(checks).filter(([, check]) => check.status !== 'ok')
  return [status, ...failed.map(([name, check]) => `${name} ${check.status}: ${check.message}`)]
}

test('a node that is well says so, in the words and with the fields of the seed', (t) => {
  t.alike(healthOf().health(), {
    status: 'healthy',
    state: 'Leader',
    current_leader: 1,
    term: 4,
    node_id: 1,
    raft_node_id: 1,
    uptime_seconds: 0,
    failure_tolerance: 1,
    alarms: [],
    supervision: {
      status: 'healthy',
      consecutive_failures: 0,
      circuit_state: 'Closed',
      enabled: false
    },
    checks: {
      raft_actor: { status: 'ok' },
      raft_cluster: { status: 'ok' },
      quorum: { status: 'ok' },
      storage: { status: 'ok' },
      disk_space: { status: 'ok', message: 'In-memory storage (no disk check needed)' }
    }
  })
  const wordOf = (overrides: Partial<World>): string => healthOf(overrides).health().state
  t.is(wordOf({ coreRole: 'follower' }), 'Follower')
  t.is(wordOf({ coreRole: 'follower', role: 'learner' }), 'Learner')
  t.is(wordOf({ coreRole: 'preCandidate' }), 'Candidate')
})

test('without a leader, a voter or a majority a node is degraded, and not more', (t) => {
  t.alike(verdictOf({ state: 'degraded' }), ['degraded', 'quorum warning: a voter is out of sight'])
  t.alike(verdictOf({ state: 'no_quorum', leader: null }), [
    'degraded',
    'raft_cluster warning: No leader elected',
    'quorum warning: no majority in sight'
  ])
  t.is(healthOf({ leader: null }).health().current_leader, null)
  t.alike(verdictOf({ state: 'joining' }), ['degraded'])
  t.alike(verdictOf({ alarms: ['clock_skew'] }), ['degraded'], 'as with any alarm')
  t.alike(healthOf({ alarms: ['clock_skew'] }).health().alarms, ['clock_skew'])
})

test('a disk that fills up warns, a full one is an error', (t) => {
  const sizes = { logBytes: 1, stateBytes: 1, snapshotBytes: 0, walBytes: null }
  const of = (percent: number, isFull = false) => {
    const disk = { usedBytes: 3, totalBytes: 9, percent, isFull }
    const { status, checks } = healthOf({ sizes, disk }).health()
    return [status, checks['disk_space']]
  }
  t.alike(of(79.96), ['healthy', { status: 'ok', message: 'Disk usage: 79%' }])
  t.alike(of(80), ['degraded', { status: 'warning', message: 'Disk usage high: 80%' }])
  const message = 'Disk usage critical: 95% (threshold: 95%)'
  t.alike(of(95.5, true), ['unhealthy', { status: 'error', message }])
  t.alike(healthOf({ sizes }).health().checks['disk_space'], { status: 'ok' }, 'not known')
})

test('a write-ahead log that grows warns, and is an error at the size of the seed', (t) => {
  const of = (walBytes: number | null) => {
    const sizes = { logBytes: 1, stateBytes: 1, snapshotBytes: 0, walBytes }
    const { status, checks } = healthOf({ sizes }).health()
    return [status, checks['wal_file']?.status, checks['wal_file']?.message]
  }
  t.alike(of(null), ['healthy', 'ok', 'No WAL file present'])
  t.alike(of(100 * MIB), ['healthy', 'ok', 'WAL file size: 100MB'])
  t.alike(of(100 * MIB + 1), [
    'degraded',
    'warning',
    'WAL file size: 100MB (exceeds 100MB warning threshold)'
  ])
  t.alike(of(501 * MIB), [
    'unhealthy',
    'error',
    'WAL file size: 501MB (exceeds 500MB critical threshold)'
  ])
})

test('storage that has failed is an error, damage that stays a warning', (t) => {
  t.alike(verdictOf({ hasFailed: true }), ['unhealthy', 'storage error: the disk has failed'])
  t.alike(verdictOf({ alarms: ['corrupt'] }), [
    'degraded',
    'storage warning: damage was found on the disk that no other member can repair'
  ])
})

test('a loop that is slow warns, one that is stuck is an error and no life', (t) => {
  const slow = { writeMs: STALLED_MS, applyMs: 0 }
  t.alike(verdictOf({ waits: slow }), [
    'degraded',
    'raft_actor warning: the log has not answered for 5 s'
  ])
  t.is(healthOf({ waits: slow }).livez().ok, true)
  const stuck = { writeMs: 0, applyMs: WEDGED_MS }
  t.alike(verdictOf({ waits: stuck }), [
    'unhealthy',
    'raft_actor error: entries have been applied for 30 s'
  ])
  t.alike(healthOf({ waits: stuck }).livez(), {
    ok: false,
    checks: { event_loop: true, apply_loop: false, log_writable: true, storage: true },
    reasons: { apply_loop: 'has been applying for 30 s' }
  })
  t.alike(healthOf({ waits: { writeMs: WEDGED_MS, applyMs: 0 } }).livez().reasons, {
    log_writable: 'no answer to a write for 30 s'
  })
})

test('a lost quorum does not end a life, a failed disk does', (t) => {
  const alone: Partial<World> = { leader: null, state: 'no_quorum', isReadable: false }
  t.is(healthOf(alone).livez().ok, true)
  t.alike(healthOf({ hasFailed: true }).livez().reasons, { storage: 'the disk has failed' })
})

test('a node is ready when requests would succeed, and says why it is not', async (t) => {
  const ready = await healthOf().readyz()
  t.alike(ready, {
    ok: true,
    checks: {
      leader_known: true,
      linearizable_read: true,
      applied_caught_up: true,
      no_corrupt_alarm: true,
      not_draining: true
    },
    reasons: {}
  })
  const whyNot = async (overrides: Partial<World>) => (await healthOf(overrides).readyz()).reasons
  t.alike(await whyNot({ leader: null, isReadable: false }), {
    leader_known: 'No leader elected',
    linearizable_read: 'nobody leads'
  })
  t.alike(await whyNot({ appliedIndex: 500 - MAX_PROMOTION_LAG - 1 }), {
    applied_caught_up: '101 committed entries are not applied'
  })
  t.alike(await whyNot({ appliedIndex: 500 - MAX_PROMOTION_LAG }), {})
  t.alike(await whyNot({ isMember: false }), {
    applied_caught_up: 'the log here has not come to the entry that made this node a member'
  })
  t.alike(await whyNot({ alarms: ['corrupt'] }), {
    no_corrupt_alarm: 'damage was found on the disk that no other member can repair'
  })
  t.alike(await whyNot({ alarms: ['nospace'] }), {}, 'reads go on')
  const draining = healthOf()
  draining.drain()
  t.alike((await draining.readyz()).reasons, { not_draining: 'the node is being closed' })
  t.is(draining.livez().ok, true, 'it lives all the same')
})

test('many who ask at once make one read, and who asks later makes another', async (t) => {
  let count = 0
  const health = healthOf({ onConfirm: () => void count++ })
  const probes = await Promise.all(Array.from({ length: 100 }, () => health.readyz()))
  t.ok(probes.every(({ ok }) => ok))
  t.is(count, 1)
  await health.readyz()
  t.is(count, 2)
})

test('only what is asked for is checked', async (t) => {
  const health = healthOf({ isReadable: false })
  t.alike(await health.readyz(['leader_known']), {
    ok: true,
    checks: { leader_known: true },
    reasons: {}
  })
  t.is((await health.readyz(['linearizable_read'])).ok, false)
})
