// B37: a leader is never stuck with a follower that needed a snapshot, whatever became of that; B38: nor with
// one that has nothing at all, when it has nothing but its base to send.

import test from 'brittle'
import { Cluster } from './cluster.ts'
import { configurationEntry, configurationOf, entriesAfter, GENESIS, timing } from './fixtures.ts'

const first = configurationEntry(GENESIS, configurationOf([1, 2, 3]))
const history = [first, ...entriesAfter(first, [1, 1, 1, 1, 1, 1, 1])]

/** Node 1 leads with everything up to 6 compacted; node 3 has only `count` entries. */
function leaderAndLaggard(count: number): Cluster {
  const cluster = new Cluster()
  cluster.add(1, history)
  cluster.add(2, history)
  cluster.add(3, history.slice(0, count), 1)
  cluster.node(1).disk.compact(6)
  cluster.crash(1)
  cluster.restart(1)
  cluster.elect(1)
  return cluster
}

/** An answered heartbeat leaves a probe on the way. */
function probed(cluster: Cluster): Cluster {
  cluster.nowMs += timing.heartbeatMs
  cluster.tick(1)
  cluster.deliver(({ to, message }) => to === 3 && message.kind === 'heartbeat')
  cluster.deliver(({ from, message }) => from === 3 && message.kind === 'heartbeatAnswer')
  return cluster
}

function stateOf(cluster: Cluster): string | undefined {
  return cluster.raft(1).status().progress.get(3)?.state
}

test('B37: any acknowledgement at or above the base ends the state', (t) => {
  for (const matchIndex of [6, 7, 9]) {
    const cluster = probed(leaderAndLaggard(2))
    t.is(stateOf(cluster), 'snapshot')
    cluster.acknowledge(1, 3, matchIndex)
    t.is(stateOf(cluster), 'replicate')
  }
})

test('B37: an acknowledgement below the base says that a snapshot is needed, again', (t) => {
  const cluster = probed(leaderAndLaggard(2))
  const effects = cluster.acknowledge(1, 3, 2)
  t.alike(effects.snapshotsNeeded, [3])
  t.alike([stateOf(cluster), effects.messages], ['snapshot', []])
})

test('B37: need and probe are repeated with each answered heartbeat, so nothing that is lost is missed', (t) => {
  const cluster = leaderAndLaggard(2)
  let needed = 0
  let probes = 0
  cluster.hooks = {
    afterStep: ({ id }, _, effects) => {
      if (id !== 1) return
      needed += effects.snapshotsNeeded.length
      for (const { to, message } of effects.messages) {
        if (to !== 3 || message.kind !== 'append') continue
        probes++
        t.alike([message.previousIndex, message.entries.length], [6, 0])
      }
    }
  }
  cluster.run(10 * timing.heartbeatMs)
  t.ok(needed >= 9 && probes >= 9, `${needed} times needed, ${probes} probes`)
})

test('B37: installed by other means, or restarted, the follower goes on by itself', (t) => {
  for (const isRestarted of [false, true]) {
    const cluster = leaderAndLaggard(2)
    const snapshot = cluster.node(2).disk.snapshotAt(8)
    t.is(cluster.step(3, { kind: 'install', snapshot }).installed, 'adopted')
    if (isRestarted) {
      cluster.crash(3)
      cluster.restart(3)
    }
    cluster.run(2 * timing.heartbeatMs)
    t.is(stateOf(cluster), 'replicate')
    t.is(cluster.raft(3).status().lastIndex, cluster.raft(1).status().lastIndex)
  }
})

test('B37: a follower whose next entry is compacted away while it replicates is named at once', (t) => {
  const cluster = Cluster.of([1, 2, 3])
  cluster.elect(1)
  cluster.isLost = ({ to }) => to === 3
  for (let count = 0; count < 5; count++) {
    cluster.propose(1, `${count}`)
    cluster.settle()
  }
  const { commitIndex } = cluster.raft(1).status()
  cluster.node(1).disk.compact(commitIndex - 1)
  cluster.isLost = () => false
  cluster.linkUp(3)
  t.is(stateOf(cluster), 'snapshot')
  const progress = cluster.raft(1).status().progress.get(3)
  t.alike([progress?.inflightCount, progress?.inflightBytes], [0, 0], 'no window is left')
})

test('B38: a follower with an empty log and a leader with nothing but its base', (t) => {
  const cluster = new Cluster()
  cluster.add(1, history)
  cluster.add(2, history)
  cluster.node(1).disk.compact(8)
  cluster.crash(1)
  cluster.restart(1)
  cluster.add(3)
  cluster.isLost = ({ to, from }) => to === 3 || from === 3
  cluster.elect(1)
  cluster.isLost = () => false
  cluster.linkUp(3)
  cluster.run(2 * timing.heartbeatMs)
  t.is(stateOf(cluster), 'snapshot')
  const snapshot = cluster.node(2).disk.snapshotAt(8)
  cluster.step(3, { kind: 'install', snapshot })
  cluster.run(2 * timing.heartbeatMs)
  t.is(cluster.raft(3).commitIndex, cluster.raft(1).commitIndex)
})
