// Ends this process at a durable boundary, as a power cut would.

import { appendFileSync } from 'node:fs'
import type { Boundary, OnBoundary } from '../../lib/boundary.ts'
import type { CrashPoint } from './node-order.ts'

/** Counts crossings; the name of each boundary is added to the file each time it is crossed. */
export function crashAt(crash: CrashPoint | null, crossedPath: string | null): OnBoundary {
  const crossed = new Map<Boundary, number>()
  return (boundary) => {
    const hit = (crossed.get(boundary) ?? 0) + 1
    crossed.set(boundary, hit)
    if (crossedPath !== null) appendFileSync(crossedPath, `${boundary}\n`)
    if (crash?.boundary === boundary && crash.hit === hit) process.kill(process.pid, 'SIGKILL')
  }
}
