// What the process of a node under test is told (node-process.ts), as JSON in its first argument.

import type { Boundary } from '../../lib/boundary.ts'
import type { LaunchCommand } from '../../lib/cli/launch.ts'

export interface NodeOrder {
  readonly command: LaunchCommand
  readonly dataDir: string
  readonly name: string
  /** `host:port` of a bootstrap node; null for none at all: a cluster of one needs nobody */
  readonly bootstrap: string | null
  /** for a join */
  readonly ticket: string | null
  /** the name of each boundary is added to this file each time it is crossed */
  readonly crossedPath: string | null
  readonly crash: CrashPoint | null
  /** for how long each SIGUSR2 stops the event loop */
  readonly stallMs: number
}

/** The process kills itself when it crosses the boundary for the `hit`-th time, from 1. */
export interface CrashPoint {
  readonly boundary: Boundary
  readonly hit: number
}
