// B1, the thesis' Figure 3.7: an entry of an earlier term is on a majority and yet not committed.

import test from 'brittle'
import type { InTransit } from './cluster.ts'
import { Cluster } from './cluster.ts'
import { configurationEntry, configurationOf, entriesAfter, GENESIS, timing } from './fixtures.ts'

/** The message without the entries of `term`. */
function without(term: number, transit: InTransit): InTransit {
  if (transit.message.kind !== 'append') return transit
  const entries = transit.message.entries.filter((entry) => entry.term !== term)
  return { ...transit, message: { ...transit.message, entries } }
}

test('B1: an entry of an earlier term on a majority is not committed, and may be overwritten', (t) => {
  const first = configurationEntry(GENESIS, configurationOf([1, 2, 3, 4, 5]))
  const ofTerm2 = entriesAfter(first, [2])
  const ofTerm3 = entriesAfter(first, [3])
  const cluster = new Cluster()
  for (const id of [1, 2]) cluster.add(id, [first, ...ofTerm2], 3)
  for (const id of [3, 4]) cluster.add(id, [first], 3)
  cluster.add(5, [first, ...ofTerm3], 3)

  // node 1 is elected in term 4 by 2 and 3; its own term's entry reaches nobody
  for (const id of cluster.nodes.keys()) cluster.tick(id)
  cluster.nowMs += timing.electionMaxMs
  cluster.tick(1)
  for (let count = 0; count < 200; count++) {
    const transit = cluster.network.shift()
    if (transit === undefined) break
    if ([4, 5].includes(transit.to)) continue
    cluster.receive(without(4, transit))
  }
  const { role, term, progress } = cluster.raft(1).status()
  t.alike([role, term], ['leader', 4])
  t.alike([progress.get(2)?.matchIndex, progress.get(3)?.matchIndex], [2, 2], 'on three of five')
  t.is(cluster.raft(1).commitIndex, 0, 'and not committed by counting')

  // node 5 may therefore still win, and replace it
  cluster.crash(1)
  for (let count = 0; count < 2; count++) {
    cluster.nowMs += timing.electionMaxMs
    cluster.tick(5)
    cluster.settle()
  }
  t.alike([cluster.raft(5).status().role, cluster.raft(5).status().term], ['leader', 5])
  t.is(cluster.raft(5).commitIndex, 3)
  for (const id of [2, 3, 4]) t.alike(cluster.node(id).disk.stored[1], ofTerm3[0])
})
