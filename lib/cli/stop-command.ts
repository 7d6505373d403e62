// `aspen stop`: asks the process that holds the data directory to end, and waits for it.

import { setTimeout as sleep } from 'node:timers/promises'
import { AspenError, EXIT } from '../errors.ts'
import { isLocked } from '../node/data-directory.ts'
import { readRuntime } from '../config/places.ts'
import type { Invocation, Target } from './invocation.ts'
import { shortPath, TIMEOUT_RANGE, targetOf } from './invocation.ts'
import { ProgressDisplay } from './progress.ts'

const DEFAULT_TIMEOUT_MS = 10_000
const KILL_TIMEOUT_MS = 5_000
const POLL_MS = 50

export async function stop(invocation: Invocation): Promise<number> {
  const { flags, host, output } = invocation
  const target = targetOf(invocation)
  const timeoutMs = flags.duration('timeout', TIMEOUT_RANGE) ?? DEFAULT_TIMEOUT_MS
  if (!isLocked(target.dataDir)) {
    print(invocation, null, `not running (${shortPath(target.dataDir)})`)
    return EXIT.ok
  }
  const pid = pidOf(target)
  const display = new ProgressDisplay({
    output,
    nowMs: host.nowMs,
    hasSteps: false,
    canRedraw: true
  })
  display.update({ phase: 'open', text: `stopping node (pid ${pid})` })
  let hasEnded = signal(pid, 'SIGTERM') && (await waitForEnd(target, timeoutMs))
  if (!hasEnded && flags.isSet('force')) {
    signal(pid, 'SIGKILL')
    hasEnded = await waitForEnd(target, KILL_TIMEOUT_MS)
  }
  display.close(hasEnded ? 'ok' : 'failure')
  if (!hasEnded) throw stillRunning(pid, target)
  print(invocation, pid, `stopped  (pid ${pid})`)
  return EXIT.ok
}

function print({ output }: Invocation, pid: number | null, text: string): void {
  output.result({
    human: (style) => [`${style.symbol('ok')} ${text}`],
    json: () => ({ stopped: pid !== null, pid }),
    quiet: () => null
  })
}

/** The process that holds the lock: only a running node has both lock and runtime file. */
function pidOf({ dataDir, selector }: Target): number {
  const runtime = readRuntime(dataDir)
  if (runtime !== null) return runtime.pid
  throw new AspenError({
    code: 'LOCKED',
    message: `a process holds ${shortPath(dataDir)} but is not ready to be stopped yet`,
    hint: `try again in a moment; 'aspen logs${selector}' shows what it does`
  })
}

/** True also when the process is gone already. @throws AspenError DATA_DIR_UNUSABLE */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return true
    const why = error instanceof Error ? error.message : String(error)
    throw new AspenError(
      { code: 'DATA_DIR_UNUSABLE', message: `process ${pid} cannot be signalled: ${why}` },
      { cause: error }
    )
  }
}

async function waitForEnd({ dataDir }: Target, timeoutMs: number): Promise<boolean> {
  const deadlineMs = Date.now() + timeoutMs
  while (isLocked(dataDir)) {
    if (Date.now() >= deadlineMs) return false
    await sleep(POLL_MS)
  }
  return true
}

function stillRunning(pid: number, { selector }: Target): AspenError {
  return new AspenError({
    code: 'TIMEOUT',
    message: `the node (pid ${pid}) has not ended yet`,
    hint: `wait longer with --timeout, or kill it with 'aspen stop --force${selector}'; what was acknowledged is on disk`
  })
}
