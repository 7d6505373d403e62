// A node in the background: a process of its own whose output is the log file. The command that
// starts it waits until it answers, and ends; the node stays.

import { join } from 'node:path'
import { closeSync, existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { AspenError, ConfigError, systemReason } from '../errors.ts'
import { makeFolders } from '../node/data-directory.ts'
import { renderLogLine } from '../node/log-line.ts'
import type { Progress } from '../node/options.ts'
import type { Ready } from './daemon-messages.ts'
import { shortPath } from './invocation.ts'
import type { Launch } from './launch.ts'
import { openLogFile } from './log-file.ts'
import { lastLogLines } from './log-reader.ts'
import { NodeProcess } from './node-process.ts'

export interface StartOptions {
  readonly launch: Launch
  readonly ticket: string | null
  readonly onProgress: (progress: Progress) => void
  /** resolves when the person who waits wants to stop waiting */
  readonly interrupted: Promise<unknown>
}

/** What the command still waits for after the node's own deadline: opening and answering. */
const GRACE_MS = 10_000
/** How long an interrupted node may take to end before it is killed. */
const STOP_GRACE_MS = 5_000

/**
 * Starts the node and waits until it answers.
 * @throws the error that the node ended with; INTERRUPTED; TIMEOUT when it still tries
 */
export async function startInBackground(options: StartOptions): Promise<Ready> {
  const { launch, ticket, onProgress } = options
  const { dataDir } = launch.target
  const place = prepareDirectory(dataDir)
  const node = new NodeProcess({
    launch,
    ticket,
    kind: 'detached',
    output: place.descriptor,
    onProgress,
    lastWords: () => lastWords(dataDir)
  })
  closeSync(place.descriptor)
  try {
    return await outcomeOf(node, options)
  } catch (error) {
    if (!node.isRunning) place.undo()
    throw error
  } finally {
    node.release()
  }
}

/** Waits for the first of: ready, failed, ended, interrupted, too late. */
async function outcomeOf(node: NodeProcess, { launch, interrupted }: StartOptions): Promise<Ready> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), launch.timeoutMs + GRACE_MS)
  })
  try {
    const outcome = await Promise.race([
      node.ready,
      interrupted.then(() => 'interrupted' as const),
      late
    ])
    if (outcome === 'interrupted') return await interrupt(node, launch)
    if (outcome === 'late') throw stillStarting(node, launch)
    return outcome
  } finally {
    clearTimeout(timer)
  }
}

function stillStarting(node: NodeProcess, { command, target }: Launch): AspenError {
  const { selector } = target
  return new AspenError({
    code: 'TIMEOUT',
    message: `the node is not ready yet and goes on trying in the background (pid ${node.pid})`,
    hint: `'aspen logs -f${selector}' shows what it does, 'aspen stop${selector}' ends it, 'aspen ${command}' again waits for it`
  })
}

/** A node that only starts goes on; one that is being made is stopped, and what there is stays. */
async function interrupt(node: NodeProcess, { command, target }: Launch): Promise<never> {
  if (command === 'start') {
    throw new AspenError({
      code: 'INTERRUPTED',
      message: `interrupted: the node goes on starting in the background (pid ${node.pid})`
    })
  }
  await node.stop(STOP_GRACE_MS)
  throw new AspenError({
    code: 'INTERRUPTED',
    message: 'interrupted: the node was stopped',
    hint: `what it made so far is in ${target.dataDir}; the same command goes on from there`
  })
}

function lastWords(dataDir: string): string | null {
  const line = lastLogLines(dataDir, 1)[0]
  return line === undefined ? null : renderLogLine(line, (_part, text) => text)
}

/** What a node that was refused before it made anything leaves in its directory. */
const LEFT_BY_REFUSALS: ReadonlySet<string> = new Set(['aspen.log', 'lock.db', 'lock.db-journal'])

/**
 * The data directory and the open log. `undo` takes back what was made here, if nothing else came to
 * be in it: a command that is refused leaves nothing behind.
 */
function prepareDirectory(dataDir: string): { readonly descriptor: number; undo(): void } {
  try {
    const isNew = !existsSync(dataDir)
    makeFolders(dataDir)
    const before = readdirSync(dataDir)
    const descriptor = openLogFile(dataDir)
    const undo = () => {
      if (before.length > 0) return
      const isUnused = readdirSync(dataDir).every((name) => LEFT_BY_REFUSALS.has(name))
      if (!isUnused) return
      for (const name of LEFT_BY_REFUSALS) rmSync(join(dataDir, name), { force: true })
      if (isNew) rmdirSync(dataDir)
    }
    return { descriptor, undo }
  } catch (cause) {
    const message = `${shortPath(dataDir)} cannot be used: ${systemReason(cause)}`
    const hint = 'name another folder with --data-dir'
    throw new ConfigError({ code: 'DATA_DIR_UNUSABLE', message, hint }, { cause })
  }
}
