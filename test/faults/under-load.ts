// Something is done to real nodes beside clients of theirs; then everything must agree: both checkers over
// what the clients were told, and the state hashes of all nodes.

import type { Assert } from 'brittle'
import type { Random } from '../../lib/random.ts'
import type { Lab } from '../e2e/lab.ts'
import { Load } from './load.ts'
import { progress, stateHashes } from './members.ts'

export interface LoadPlan {
  readonly lab: Lab
  readonly machines: readonly string[]
  readonly random: Random
  /** of the keys: each history of a cluster has its own */
  readonly prefix: string
  readonly pauseMs?: number
}

export async function underLoad(
  t: Assert,
  { lab, machines, random, prefix, pauseMs = 5 }: LoadPlan,
  act: (load: Load) => Promise<void>
): Promise<void> {
  const clientOf = (machine: string) => lab.client(machine)
  const size = { clientsPerMachine: 2, keyCount: 10, pauseMs }
  const load = new Load({ machines, clientOf, random, prefix, ...size })
  load.start()
  await act(load)
  await progress(load, 20)
  await load.stop()
  const { violation, acknowledgedCount } = await load.judge()
  t.is(violation, null, 'the history is that of one store')
  const hashes = await stateHashes(lab, machines)
  t.is(new Set(hashes).size, 1, 'all nodes hold the same state')
  t.comment(`${acknowledgedCount} acknowledged writes`)
}
