// What happens in a cluster in memory, as the metrics of its nodes count it.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { RaftTally } from '../../lib/service/raft-tally.ts'
import type { Change } from '../../lib/state-machine/command.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'
import type { Process } from '../../lib/testing/machine.ts'
import { samplesOf, seriesOf } from './metric-samples.ts'
import type { Samples } from './metric-samples.ts'

async function samples(node: Process): Promise<Samples> {
  return samplesOf(await node.assembly.service.metrics())
}

function put(key: string, condition: Change['condition'] = null): Change {
  return { kind: 'put', key: bytesOf(key), value: bytesOf('v'), condition }
}

test('requests are counted by what they were, what they were worth and how they ended', async (t) => {
  const cluster = new MemoryCluster({ seed: 2 })
  t.teardown(() => cluster.close())
  await cluster.form(['a', 'b', 'c'])
  await cluster.time.run(5_000)
  const leader = present(cluster.leader(), 'a leader')
  const follower = present(
    cluster.nodes().find((node) => node !== leader),
    'a follower'
  )
  const { kv } = follower.assembly.service
  const settled = <T>(promise: Promise<T>): Promise<T | null> =>
    cluster.time.settled(
      promise.catch(() => null),
      10_000
    )
  const before = await samples(follower)
  await settled(kv.write({ changes: [put('a')] }))
  await settled(kv.write({ changes: [put('a', { kind: 'absent' })] }))
  await settled(kv.write({ changes: [put('b'), put('c')] }))
  await settled(kv.write({ changes: [{ kind: 'delete', key: bytesOf('a'), condition: null }] }))
  await settled(kv.get(bytesOf('a')))
  await settled(kv.get(bytesOf('b'), { consistency: 'stale' }))
  await settled(kv.scan({ prefix: bytesOf('') }))
  await settled(kv.get(bytesOf('')))
  const after = await samples(follower)
  const moved = (name: string): string[] =>
    [...seriesOf(after, name)]
      .filter(([labels, value]) => value !== before.get(`${name}${labels}`))
      .map(([labels, value]) => `${labels} ${value - (before.get(`${name}${labels}`) ?? 0)}`)
      .toSorted()
  t.alike(moved('aspen_kv_requests_total'), [
    '{op="batch",consistency="linearizable",result="ok"} 1',
    '{op="delete",consistency="linearizable",result="ok"} 1',
    '{op="get",consistency="linearizable",result="invalid"} 1',
    '{op="get",consistency="linearizable",result="not_found"} 1',
    '{op="get",consistency="stale",result="ok"} 1',
    '{op="put",consistency="linearizable",result="conflict"} 1',
    '{op="put",consistency="linearizable",result="ok"} 1',
    '{op="scan",consistency="linearizable",result="ok"} 1'
  ])
  t.alike(moved('aspen_kv_forwarded_total'), ['{op="read"} 2', '{op="write"} 4'])
  t.alike(moved('aspen_raft_proposals_applied_total'), [' 4'])
  t.alike(moved('aspen_raft_read_index_duration_seconds_count'), [' 2'])
  t.is(moved('aspen_net_messages_total').length, 4, 'raft and rpc, both ways')
  t.ok((after.get('aspen_storage_commit_duration_seconds_count{store="log"}') ?? 0) > 0)
  const atLeader = await samples(leader)
  t.ok((atLeader.get('aspen_raft_commit_duration_seconds_count') ?? 0) >= 4)
  t.is(atLeader.get('aspen_raft_elections_total{result="won"}'), 1)
  t.is(atLeader.get('aspen_ticket_uses_total'), 2)
  t.is(atLeader.get('aspen_admissions_total{result="ok"}'), 2)
})

test('members that are gone leave no series behind', async (t) => {
  const cluster = new MemoryCluster({ seed: 3 })
  t.teardown(() => cluster.close())
  await cluster.form(['a', 'b', 'c', 'd'])
  await cluster.time.run(2_000)
  const leader = present(cluster.leader(), 'a leader')
  const learner = present(
    cluster.nodes().find((node) => node.assembly.service.status().role === 'learner'),
    'a learner'
  )
  const { id } = learner.assembly.service.status().node
  const asked = learner.assembly.service.kv.get(bytesOf('a'))
  await cluster.time.settled(asked, 10_000)
  const peersOf = async (node: Process): Promise<string> =>
    [...(await samples(node)).keys()].filter((one) => one.includes('peer="')).join('\n')
  t.ok((await peersOf(leader)).includes(`peer="${id}"`))
  const change = { add: [], promote: [], demote: [], remove: [id] }
  leader.assembly.replica.change(change, () => {})
  await cluster.time.run(5_000)
  t.absent((await peersOf(leader)).includes(`peer="${id}"`))
})

test('elections are counted by how they ended, leaders by how often they changed', (t) => {
  const told: string[] = []
  const tally = new RaftTally({
    onLeaderChange: () => told.push('leader'),
    onElection: (result) => told.push(result)
  })
  const steps = [
    [{ role: 'follower', leader: 2 } as const, ['leader']],
    [{ role: 'follower', leader: null } as const, []],
    [{ role: 'preCandidate', leader: null } as const, []],
    [{ role: 'follower', leader: 2 } as const, ['prevote_rejected']],
    [{ role: 'preCandidate', leader: null } as const, []],
    [{ role: 'candidate', leader: null } as const, []],
    [{ role: 'follower', leader: 3 } as const, ['lost', 'leader']],
    [{ role: 'candidate', leader: null } as const, []],
    [{ role: 'leader', leader: 1 } as const, ['won', 'leader']],
    [{ role: 'follower', leader: null } as const, []]
  ] as const
  for (const [status, expected] of steps) {
    told.length = 0
    tally.look(status)
    t.alike(told, [...expected])
  }
})
