// The three timing profiles (DESIGN §3). Heartbeat and election of the core, keep-alive and timeout
// of links; all in milliseconds.

import { assert } from '../assert.ts'

export interface Timing {
  readonly heartbeatMs: number
  readonly electionMinMs: number
  /** timeouts are drawn from [electionMinMs, electionMaxMs) */
  readonly electionMaxMs: number
  readonly linkKeepAliveMs: number
  readonly linkTimeoutMs: number
}

export type TimingProfile = 'default' | 'lan' | 'wan'

export const TIMING: Readonly<Record<TimingProfile, Timing>> = {
  default: {
    heartbeatMs: 150,
    electionMinMs: 1_500,
    electionMaxMs: 3_000,
    linkKeepAliveMs: 500,
    linkTimeoutMs: 2_500
  },
  lan: {
    heartbeatMs: 75,
    electionMinMs: 600,
    electionMaxMs: 1_200,
    linkKeepAliveMs: 250,
    linkTimeoutMs: 1_200
  },
  wan: {
    heartbeatMs: 500,
    electionMinMs: 3_000,
    electionMaxMs: 6_000,
    linkKeepAliveMs: 2_000,
    linkTimeoutMs: 10_000
  }
}

for (const timing of Object.values(TIMING)) {
  assert(
    timing.heartbeatMs * 4 <= timing.electionMinMs,
    'several heartbeats fit an election timeout'
  )
  assert(timing.electionMinMs < timing.electionMaxMs, 'election timeouts are drawn from a range')
  assert(
    timing.linkKeepAliveMs * 4 <= timing.linkTimeoutMs,
    'several keep-alives fit a link timeout'
  )
}
