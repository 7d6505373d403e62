// What the metrics say of the process and of the program in it: how late its event loop turns, how long
// collecting garbage takes, memory, processor time, descriptors. Everything that is begun here ends with the node.

import { readdir, readFile } from 'node:fs/promises'
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'
import { systemClock } from '../clock.ts'
import { Metrics } from '../service/metrics.ts'
import { VERSION } from '../version.ts'
import type { Ending } from './ending.ts'

/** The metrics of a node, with what is true of any process that runs one. */
export function openMetrics(ending: Pick<Ending, 'add'>): Metrics {
  const metrics = new Metrics()
  metrics.set('aspen_build_info', 1, { version: VERSION, node_version: process.versions.node })
  metrics.set('aspen_node_start_time_seconds', systemClock.wallMs() / 1_000)
  const delays = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
  delays.enable()
  const collections = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const kind = kindOf('detail' in entry ? entry.detail : null)
      metrics.observe('nodejs_gc_duration_seconds', entry.duration / 1_000, { kind })
    }
  })
  collections.observe({ entryTypes: ['gc'] })
  ending.add(async () => {
    delays.disable()
    collections.disconnect()
  })
  metrics.addSource(async () => {
    const p99Ns = delays.count === 0 ? 0 : delays.percentile(99)
    const lateNs = Math.max(0, p99Ns - LOOP_RESOLUTION_MS * 1e6)
    metrics.set('nodejs_eventloop_lag_p99_seconds', lateNs / 1e9)
    delays.reset()
    const { user, system } = process.cpuUsage()
    metrics.countTo('process_cpu_seconds_total', (user + system) / 1e6)
    const { rss, heapUsed } = process.memoryUsage()
    metrics.set('process_resident_memory_bytes', rss)
    metrics.set('nodejs_heap_size_used_bytes', heapUsed)
    metrics.setOrRemove('process_open_fds', await openDescriptorCount())
    metrics.setOrRemove('process_max_fds', await maxDescriptorCount())
  })
  return metrics
}

/** Between two looks at the event loop: each wakes the process. */
const LOOP_RESOLUTION_MS = 50

/** Null where the system does not say. */
async function openDescriptorCount(): Promise<number | null> {
  const names = await readdir('/proc/self/fd').catch(() => null)
  // one of them is of the folder that was read
  return names === null ? null : names.length - 1
}

async function maxDescriptorCount(): Promise<number | null> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  const found = /^Max open files\s+(\d+)/m.exec(limits)?.[1]
  return found === undefined ? null : Number(found)
}

/** The kinds are numbers of the runtime (perf_hooks.constants). */
function kindOf(detail: unknown): string {
  const kind = typeof detail === 'object' && detail !== null && 'kind' in detail ? detail.kind : 0
  if (kind === 1) return 'minor'
  if (kind === 4) return 'major'
  return kind === 8 ? 'incremental' : 'weakcb'
}
