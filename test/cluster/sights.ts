// A leader's view of a cluster, as a test wants it: node 1 leads, everybody is linked, has just answered and has
// the whole log, unless something else is said.

import type { Sight } from '../../lib/cluster/sight.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { MemberRole } from '../../lib/raft/configuration.ts'
import { configurationOf, statusOf } from './fixtures.ts'

export interface Seen {
  /** entries behind the leader; null: the leader knows nothing of it */
  readonly lag?: number | null
  readonly isLinked?: boolean
  /** ms since the last answer; null: there was none */
  readonly silentMs?: number | null
}

export const HEARTBEAT_MS = 100
const LAST_INDEX = 1_000
const NOW_MS = 50_000

export function sightOf(
  roles: Readonly<Record<NodeId, MemberRole>>,
  seen: Readonly<Record<NodeId, Seen>> = {}
): Sight {
  const ids = Object.keys(roles).map(Number)
  const followers = ids.flatMap((id) => {
    const { lag = 0, silentMs = 0 } = seen[id] ?? {}
    if (id === 1 || lag === null) return []
    const heardMs = silentMs === null ? null : NOW_MS - silentMs
    const flow = { state: 'replicate', inflightCount: 0, inflightBytes: 0 } as const
    return [[id, { matchIndex: LAST_INDEX - lag, heardMs, ...flow }] as const]
  })
  return {
    id: 1,
    status: statusOf(configurationOf(roles), {
      lastIndex: LAST_INDEX,
      progress: new Map(followers)
    }),
    isLinked: (id) => seen[id]?.isLinked ?? true,
    nowMs: NOW_MS,
    heartbeatMs: HEARTBEAT_MS
  }
}

/** Gone for so long that nobody takes it for alive, with its link still there. */
export const SILENT: Seen = { silentMs: 5_000 }
