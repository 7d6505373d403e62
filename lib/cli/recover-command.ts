// `aspen recover`: what is left of a cluster that has lost its quorum, and, with --accept-loss, a new cluster
// from this node. A node that does not run is started in this process, without anybody being told, to see
// whom it reaches: a cluster that has a quorum is not split.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigError, EXIT } from '../errors.ts'
import { DataDirectory, isLocked } from '../node/data-directory.ts'
import { createLogger } from '../node/log.ts'
import { readMembership } from '../node/membership.ts'
import { AspenNode } from '../node/node.ts'
import type { Progress } from '../node/options.ts'
import { recover, recoverable } from '../node/recovering.ts'
import type { Recovered } from '../node/recovering.ts'
import type { Survey } from '../service/documents.ts'
import { backupDocument, backupLines } from './backup-lines.ts'
import { noNodeDetail, withNode } from './connect.ts'
import type { Invocation } from './invocation.ts'
import { shortPath, TIMEOUT_RANGE, targetOf } from './invocation.ts'
import { launchOf } from './launch.ts'
import { prospectDocument, prospectLines, prospectOf, refusalOf } from './recover-lines.ts'
import { asSystemFailure, refuseInMemory, withProgress } from './restore-command.ts'
import { launchNode } from './start-commands.ts'
import type { Style } from './style.ts'

/** An election and the links before it, on a slow network. */
const DEFAULT_TIMEOUT_MS = 10_000
const POLL_MS = 500

type OnProgress = (progress: Progress) => void

export async function recoverHere(invocation: Invocation): Promise<number> {
  const { flags, output } = invocation
  const target = targetOf(invocation)
  const { dataDir } = target
  if (!existsSync(join(dataDir, 'node.json'))) {
    const detail = noNodeDetail(target, invocation.host.env)
    throw new ConfigError({ code: 'NO_CLUSTER_HERE', ...detail })
  }
  const isRunning = isLocked(dataDir)
  if (!isRunning && isFenced(dataDir)) return accept(invocation)
  const survey = await withProgress(invocation, (onProgress) =>
    look(invocation, isRunning, onProgress)
  )
  const prospect = prospectOf(survey)
  if (flags.isSet('acceptLoss')) {
    const { selector } = target
    const refusal = refusalOf(prospect, { selector, isRunning, isForced: flags.isSet('force') })
    if (refusal !== null) throw refusal
    return accept(invocation)
  }
  output.result({
    human: (style) => prospectLines(prospect, { style, selector: target.selector, isRunning }),
    json: () => ({ ...prospectDocument(prospect), running: isRunning }),
    quiet: () => (survey.has_quorum ? 'quorum' : 'lost')
  })
  return EXIT.ok
}

/** Whom it reaches when it has had the time; at once when a majority answers. */
async function look(
  invocation: Invocation,
  isRunning: boolean,
  onProgress: OnProgress
): Promise<Survey> {
  const timeoutMs = invocation.flags.duration('timeout', TIMEOUT_RANGE) ?? DEFAULT_TIMEOUT_MS
  onProgress({ phase: 'connect', text: 'looking for the other members' })
  if (isRunning) {
    return pollSurvey(timeoutMs, () => withNode(invocation, (node) => node.survey()))
  }
  const node = await AspenNode.open({
    intent: { kind: 'start' },
    dataDir: targetOf(invocation).dataDir,
    name: null,
    bootstrap: null,
    port: null,
    httpPort: null,
    timing: null,
    storage: null,
    openLimitMs: timeoutMs,
    logger: createLogger({ level: 'silent', destination: 'ndjson' }),
    onProgress: () => {}
  })
  try {
    return await pollSurvey(timeoutMs, () => node.survey())
  } finally {
    await node.close()
  }
}

async function pollSurvey(timeoutMs: number, ask: () => Promise<Survey>): Promise<Survey> {
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    const survey = await ask()
    if (survey.has_quorum || performance.now() >= deadlineMs) return survey
    await sleep(POLL_MS)
  }
}

async function accept(invocation: Invocation): Promise<number> {
  const launch = await launchOf(invocation, 'create')
  refuseInMemory(launch)
  const recovered = await withProgress(invocation, async (onProgress) => {
    const directory = DataDirectory.open(launch.target.dataDir)
    try {
      return await recover(directory, onProgress)
    } catch (error) {
      throw asSystemFailure(error, 'the recovery could not be made')
    } finally {
      directory.close()
    }
  })
  return launchNode(invocation, { launch, ticket: null, origin: originOf(recovered) })
}

function originOf({ header, uncertain, lostDir }: Recovered) {
  return {
    lines: (style: Style) => [
      ...(header === null
        ? [`${style.symbol('ok')} an interrupted recovery went on`]
        : [
            `${style.symbol('ok')} recovered what this member of the lost cluster has`,
            ...backupLines(header, style)
          ]),
      ...(uncertain === null
        ? []
        : [
            `${style.symbol('warning')} entries ${uncertain.from + 1} to ${uncertain.to} count now; nobody knows whether they were acknowledged`
          ]),
      `${style.symbol('ok')} the old node is in ${shortPath(lostDir)}, and never starts again`
    ],
    document: {
      recovered: {
        ...(header === null ? {} : backupDocument(header)),
        uncertain: uncertain === null ? null : { from: uncertain.from + 1, to: uncertain.to },
        lost_dir: lostDir
      }
    }
  }
}

/** A recovery that was interrupted when the old node had been given up. */
function isFenced(dataDir: string): boolean {
  const directory = DataDirectory.open(dataDir)
  try {
    if (readMembership(directory)?.state !== 'fenced') return false
    recoverable(directory)
    return true
  } finally {
    directory.close()
  }
}
