// `aspen logs`: the log of the node that runs, or ran, in the background. Needs no running node.

import { existsSync } from 'node:fs'
import { ConfigError, EXIT } from '../errors.ts'
import { renderLogLine } from '../node/log-line.ts'
import { noNodeDetail } from './connect.ts'
import type { Invocation } from './invocation.ts'
import { shortPath, targetOf } from './invocation.ts'
import { logPaint } from './log-paint.ts'
import { hasLog, lastLogLines, LogFollower } from './log-reader.ts'
import { StopSignals } from './signals.ts'

const DEFAULT_LINES = 100
const MAX_LINES = 1_000_000

export async function logs(invocation: Invocation): Promise<number> {
  const { flags, output } = invocation
  const target = targetOf(invocation)
  const count = flags.integer('lines', { min: 0, max: MAX_LINES }) ?? DEFAULT_LINES
  if (!existsSync(target.dataDir)) {
    const detail = noNodeDetail(target, invocation.host.env)
    throw new ConfigError({ code: 'NO_CLUSTER_HERE', ...detail })
  }
  if (!hasLog(target.dataDir)) {
    throw new ConfigError({
      code: 'NO_CLUSTER_HERE',
      message: `there is no log in ${shortPath(target.dataDir)}: no node has run in the background here`,
      hint: `'aspen start${target.selector}' starts one`
    })
  }
  const print = (line: string) => {
    if (output.isJson) output.streamLine(line)
    else output.streamLine(renderLogLine(line, (part, text) => logPaint(output.style, part, text)))
  }
  const signals = new StopSignals()
  // begun before the last lines are read, so that no line falls between; none comes in this turn
  const follower = flags.isSet('follow') ? new LogFollower(target.dataDir, print) : null
  try {
    for (const line of lastLogLines(target.dataDir, count)) print(line)
    if (follower !== null) await Promise.race([signals.first, invocation.host.stdoutLost])
    return EXIT.ok
  } finally {
    follower?.close()
    signals.close()
  }
}
