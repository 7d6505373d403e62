// The registry of a node, and what it says of a cluster in memory.

import { readFileSync } from 'node:fs'
import test from 'brittle'
import { COUNTERS, GAUGES, HISTOGRAMS } from '../../lib/service/metric-table.ts'
import { Metrics } from '../../lib/service/metrics.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'
import { metricsDocument } from './metrics-document.ts'
import { samplesOf, seriesOf } from './metric-samples.ts'

test('every series of known labels is there from the start, with 0', async (t) => {
  const samples = samplesOf(await new Metrics().render())
  t.alike(
    [...seriesOf(samples, 'aspen_raft_elections_total')],
    [
      ['{result="won"}', 0],
      ['{result="lost"}', 0],
      ['{result="prevote_rejected"}', 0]
    ]
  )
  t.is(samples.get('aspen_raft_has_leader'), 0)
  t.is(samples.get('aspen_raft_apply_duration_seconds_count'), 0)
  t.is(
    [...samples.values()].every((value) => value === 0),
    true
  )
})

test('names follow the conventions of Prometheus', (t) => {
  const own = (name: string): boolean => /^(aspen|nodejs|process|sqlite)_[a-z0-9_]+$/.test(name)
  const tables = { ...GAUGES, ...COUNTERS, ...HISTOGRAMS }
  t.alike(
    Object.keys(tables).filter((name) => !own(name)),
    []
  )
  t.alike(
    Object.keys(COUNTERS).filter((name) => !name.endsWith('_total')),
    []
  )
  t.alike(
    Object.keys(GAUGES).filter((name) => name.endsWith('_total')),
    []
  )
  const units = /_(seconds|bytes)$/
  t.alike(
    Object.keys(HISTOGRAMS).filter((name) => !units.test(name)),
    []
  )
  t.alike(
    Object.keys(tables).filter((name) => /_(ms|millis|kb|mb|percent)\b/.test(name)),
    []
  )
})

test('a node of three says what it is, from memory, and with nobody in sight too', async (t) => {
  const cluster = new MemoryCluster({ seed: 1 })
  t.teardown(() => cluster.close())
  await cluster.form(['a', 'b', 'c'])
  await cluster.time.run(2_000)
  const leader = cluster.leader()
  if (leader === null) return t.fail('somebody leads')
  const { id } = leader.assembly.service.status().node
  const samples = samplesOf(await leader.assembly.service.metrics())
  const status = leader.assembly.service.status()
  t.is(samples.get('aspen_raft_has_leader'), 1)
  t.is(samples.get('aspen_current_leader'), id)
  t.is(samples.get('aspen_raft_state{state="leader"}'), 1)
  t.is(samples.get('aspen_raft_state{state="follower"}'), 0)
  t.is(samples.get('aspen_raft_term'), status.term)
  t.is(samples.get('aspen_raft_applied_index'), status.applied_index)
  t.is(samples.get('aspen_failure_tolerance'), 1)
  t.is(samples.get('aspen_members{role="voter",health="linked"}'), 3)
  t.is(seriesOf(samples, 'aspen_raft_replication_lag_entries').size, 2)
  t.ok((samples.get('aspen_quorum_acked_seconds') ?? 9) < 1)

  const others = cluster.nodes().filter((node) => node !== leader)
  for (const { name } of others) cluster.crash(name)
  await cluster.time.run(70_000)
  const alone = samplesOf(await leader.assembly.service.metrics())
  t.is(alone.get('aspen_raft_has_leader'), 0)
  t.is(alone.has('aspen_current_leader'), false)
  t.is(alone.has('aspen_quorum_acked_seconds'), false)
  t.is(seriesOf(alone, 'aspen_raft_replication_lag_entries').size, 0)
  t.is(alone.get('aspen_failure_tolerance'), 0)
  t.is(alone.get('aspen_unreachable_nodes'), 2)
  t.is(alone.get('aspen_nodes_needing_attention'), 2)
  t.is(alone.get('aspen_members{role="voter",health="unreachable"}'), 2)
  const away = seriesOf(alone, 'aspen_node_unreachable_seconds')
  t.is(
    [...away.keys()].every((labels) => labels.includes('failure_type="NodeCrash"')),
    true
  )
  t.is(
    [...away.values()].every((seconds) => seconds > 60 && seconds < 80),
    true
  )
})

test('the document of all metrics is the one that follows from the table', (t) => {
  t.is(readFileSync('lib/service/METRICS.md', 'utf8'), metricsDocument())
})
