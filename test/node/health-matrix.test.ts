// Every fault against everything that a node says of itself: the probes and the health name it and nothing
// else (OPS-03), and one number of the metrics moves (OPS-04). On a virtual clock, with three voters.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import type { FileSystemStats } from '../../lib/cluster/disk-space.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { MAX_CLOCK_SKEW_MS, MAX_PENDING_READS } from '../../lib/limits.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'
import type { Process } from '../../lib/testing/machine.ts'
import { samplesOf } from '../service/metric-samples.ts'

/** Three voters, of which one leads, and what of their disks can be made worse. */
class World {
  readonly cluster: MemoryCluster
  readonly usedPercent = new Map<string, number>()
  readonly writeMs = new Map<string, number>()

  constructor(seed: number) {
    this.cluster = new MemoryCluster({
      seed,
      writeMs: (name) => this.writeMs.get(name) ?? 1,
      diskProbe: (name) => (onStats) => {
        const stats = statsOf(this.usedPercent.get(name) ?? 50)
        this.cluster.time.start(1, () => onStats(stats))
      }
    })
  }

  get leader(): Process {
    return present(this.cluster.leader(), 'a leader')
  }

  get followers(): readonly [Process, Process] {
    const leader = this.leader
    const [one, other] = this.cluster.nodes().filter((node) => node !== leader)
    return [present(one, 'a follower'), present(other, 'another follower')]
  }

  /** A log that answers no more would hold up its node's end. */
  async end(): Promise<void> {
    for (const name of this.writeMs.keys()) this.cluster.crash(name)
    await this.cluster.close()
  }

  async put(at: Process, timeoutMs = 2_000): Promise<void> {
    const changes = [
      { kind: 'put', key: bytesOf('k'), value: bytesOf('v'), condition: null }
    ] as const
    const written = at.assembly.service.kv.write({ changes }, { timeoutMs }).catch(() => null)
    await this.cluster.time.settled(written, timeoutMs + 1_000)
  }
}

function statsOf(usedPercent: number): FileSystemStats {
  return {
    bsize: 4_096,
    blocks: 1_000_000,
    bavail: (100 - usedPercent) * 10_000,
    bfree: (100 - usedPercent) * 10_000
  }
}

interface Fault {
  readonly fault: string
  /** does the harm, and returns who is asked */
  readonly inject: (world: World) => Process | Promise<Process>
  /** until when it must be seen */
  readonly withinMs: number
  /** checks that fail */
  readonly livez?: readonly string[]
  readonly readyz?: readonly string[]
  /** status, checks that are not ok, alarms */
  readonly health: readonly string[]
  /** what of the metrics is different: the series, and its value or that it has grown */
  readonly moved: readonly [series: string, to: number | 'more']
}

const FAULTS: readonly Fault[] = [
  {
    fault: 'a follower is gone, seen by the leader',
    inject: ({ cluster, leader, followers: [one] }) => {
      cluster.crash(one.name)
      return leader
    },
    withinMs: 5_000,
    health: ['degraded', 'quorum'],
    moved: ['aspen_unreachable_nodes', 1]
  },
  {
    fault: 'a follower stands still, seen by the leader',
    inject: ({ leader, followers: [one] }) => {
      one.time.pause()
      return leader
    },
    withinMs: 5_000,
    health: ['degraded', 'quorum'],
    moved: ['aspen_failure_tolerance', 0]
  },
  {
    fault: 'the leader is gone, right after it',
    inject: ({ cluster, leader, followers: [one] }) => {
      cluster.cut(leader.name, one.name)
      cluster.cut(
        leader.name,
        present(
          cluster.nodes().find((node) => node !== leader && node !== one),
          'a third'
        ).name
      )
      return leader
    },
    withinMs: 5_000,
    readyz: ['leader_known', 'linearizable_read'],
    health: ['degraded', 'raft_cluster', 'quorum'],
    moved: ['aspen_raft_has_leader', 0]
  },
  {
    fault: 'the leader is gone, seen by those who chose another one',
    inject: ({ cluster, leader, followers: [one] }) => {
      cluster.crash(leader.name)
      return one
    },
    withinMs: 8_000,
    health: ['degraded', 'quorum'],
    moved: ['aspen_raft_leader_changes_seen_total', 'more']
  },
  {
    fault: 'the quorum is gone, seen by a follower',
    inject: ({ cluster, leader, followers: [one, other] }) => {
      cluster.crash(leader.name)
      cluster.crash(other.name)
      return one
    },
    withinMs: 6_000,
    readyz: ['leader_known', 'linearizable_read'],
    health: ['degraded', 'raft_cluster', 'quorum'],
    moved: ['aspen_raft_has_leader', 0]
  },
  {
    fault: 'writes without a quorum',
    inject: async (world) => {
      const { cluster, leader, followers } = world
      for (const { name } of followers) cluster.crash(name)
      await world.put(leader)
      return leader
    },
    withinMs: 5_000,
    readyz: ['leader_known', 'linearizable_read'],
    health: ['degraded', 'raft_cluster', 'quorum'],
    moved: ['aspen_raft_proposals_failed_total{reason="timeout"}', 1]
  },
  {
    fault: 'nothing gets through to the others, seen by a follower',
    inject: ({ cluster, leader, followers: [one, other] }) => {
      cluster.cut(one.name, leader.name)
      cluster.cut(one.name, other.name)
      return one
    },
    withinMs: 20_000,
    readyz: ['leader_known', 'linearizable_read'],
    health: ['degraded', 'raft_cluster', 'quorum'],
    moved: ['aspen_net_dials_total{result="timeout"}', 'more']
  },
  {
    fault: 'the disk is nearly full',
    inject: ({ usedPercent, followers: [one] }) => {
      usedPercent.set(one.name, 96)
      return one
    },
    withinMs: 2_000,
    health: ['unhealthy', 'disk_space', 'nospace'],
    moved: ['aspen_alarms{alarm="nospace"}', 1]
  },
  {
    fault: 'the disk fills up',
    inject: ({ usedPercent, followers: [one] }) => {
      usedPercent.set(one.name, 85)
      return one
    },
    withinMs: 2_000,
    health: ['degraded', 'disk_space'],
    moved: ['aspen_disk_available_bytes', 15 * 10_000 * 4_096]
  },
  {
    fault: 'all disks are nearly full, and somebody writes',
    inject: async (world) => {
      for (const { name } of world.cluster.nodes()) world.usedPercent.set(name, 97)
      await world.cluster.time.run(8_000)
      await world.put(world.leader)
      return world.leader
    },
    withinMs: 1_000,
    health: ['unhealthy', 'disk_space', 'nospace'],
    moved: ['aspen_raft_proposals_failed_total{reason="no_space"}', 1]
  },
  {
    fault: 'a store has failed',
    inject: ({ followers: [one] }) => {
      one.assembly.fail()
      return one
    },
    withinMs: 0,
    livez: ['storage'],
    readyz: ['linearizable_read'],
    health: ['unhealthy', 'storage'],
    moved: ['aspen_errors_total{type="storage"}', 1]
  },
  {
    fault: 'damage that nobody can repair',
    inject: ({ leader }) => {
      leader.assembly.alarms.onCorrupt()
      return leader
    },
    withinMs: 0,
    readyz: ['no_corrupt_alarm'],
    health: ['degraded', 'storage', 'corrupt'],
    moved: ['aspen_alarms{alarm="corrupt"}', 1]
  },
  {
    fault: 'the clock of the leader is wrong',
    inject: ({ leader }) => {
      leader.time.jumpWall(2 * MAX_CLOCK_SKEW_MS)
      return leader
    },
    withinMs: 1_000,
    health: ['degraded', 'clock_skew'],
    moved: ['aspen_alarms{alarm="clock_skew"}', 1]
  },
  {
    fault: 'the node is being closed',
    inject: ({ followers: [one] }) => {
      one.assembly.service.drain()
      return one
    },
    withinMs: 0,
    readyz: ['not_draining'],
    health: ['healthy'],
    moved: ['aspen_node_draining', 1]
  },
  {
    fault: 'a log that answers late',
    inject: async (world) => {
      const [one] = world.followers
      world.writeMs.set(one.name, 9_000)
      await world.put(world.leader)
      await world.put(world.leader)
      return one
    },
    withinMs: 5_500,
    readyz: ['linearizable_read'],
    health: ['degraded', 'raft_actor'],
    moved: ['aspen_apply_lag', 'more']
  },
  {
    fault: 'a log that answers no more',
    inject: async (world) => {
      const [one] = world.followers
      world.writeMs.set(one.name, 3_600_000)
      await world.put(world.leader)
      return one
    },
    withinMs: 31_000,
    livez: ['log_writable'],
    readyz: ['linearizable_read'],
    health: ['unhealthy', 'raft_actor'],
    moved: ['aspen_apply_lag', 'more']
  },
  {
    fault: 'more reads than a node takes',
    inject: ({ followers: [one, other], leader, cluster }) => {
      cluster.crash(other.name)
      cluster.crash(leader.name)
      const { kv } = one.assembly.service
      for (let count = 0; count <= MAX_PENDING_READS; count++) {
        void kv.get(bytesOf('k'), { timeoutMs: 4_000 }).catch(() => null)
      }
      return one
    },
    withinMs: 6_000,
    readyz: ['leader_known', 'linearizable_read'],
    health: ['degraded', 'raft_cluster', 'quorum', 'overloaded'],
    moved: ['aspen_kv_requests_total{op="get",consistency="linearizable",result="overloaded"}', 1]
  },
  {
    fault: 'a node that is cut off comes back',
    inject: async ({ cluster, leader, followers: [one] }) => {
      cluster.cut(leader.name, one.name)
      await cluster.time.run(3_000)
      cluster.heal(leader.name, one.name)
      return one
    },
    withinMs: 10_000,
    health: ['healthy'],
    moved: ['aspen_net_connections_established_total', 'more']
  }
]

FAULTS.forEach((row, at) => {
  test(`OPS-03, OPS-04: ${row.fault}: said, and counted`, async (t) => {
    const world = new World(100 + at)
    t.teardown(() => world.end())
    await world.cluster.form(['a', 'b', 'c'])
    await world.cluster.time.run(3_000)
    for (const node of world.cluster.nodes()) {
      t.is(node.assembly.service.health().status, 'healthy', `${node.name} is well before`)
    }
    const before = new Map<Process, ReadonlyMap<string, number>>()
    for (const node of world.cluster.nodes()) before.set(node, await samples(node))

    const node = await row.inject(world)
    await world.cluster.time.run(row.withinMs)
    const { service } = node.assembly
    const { status, checks, alarms } = service.health()
    const failing = Object.entries(checks).filter(([, check]) => check.status !== 'ok')
    t.alike([status, ...failing.map(([name]) => name), ...alarms], [...row.health], '/health')
    t.is(
      failing.every(([, check]) => (check.message ?? '') !== ''),
      true,
      'with a reason'
    )
    t.alike(Object.keys(service.livez().reasons), [...(row.livez ?? [])], '/livez')
    const now = await samples(node)
    const ready = await world.cluster.time.settled(service.readyz(), 5_000)
    t.alike(Object.keys(ready.reasons), [...(row.readyz ?? [])], '/readyz')

    const [series, to] = row.moved
    const was = before.get(node)?.get(series) ?? 0
    if (to === 'more') t.ok((now.get(series) ?? 0) > was, series)
    else t.is(now.get(series), to, series)
  })
})

async function samples(node: Process): Promise<ReadonlyMap<string, number>> {
  return samplesOf(await node.assembly.service.metrics())
}
