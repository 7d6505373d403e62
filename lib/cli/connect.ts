// The connection of a command to the node of this machine, over the Unix socket in its data
// directory.

import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Client } from '../client/client.ts'
import type { ErrorDetail } from '../errors.ts'
import { AspenError, ConfigError } from '../errors.ts'
import {
  defaultDataDir,
  nodesHere,
  readRuntime,
  readState,
  socketPathOf
} from '../config/places.ts'
import { halfMade, whyUnfitToStart } from '../node/unfit-states.ts'
import type { Invocation, Target } from './invocation.ts'
import { shortPath, targetOf } from './invocation.ts'
import type { Environment } from './style.ts'
import { showWaiting } from './waiting.ts'

/** Calls `work` with a client of the node, and closes it. @throws AspenError NODE_NOT_RUNNING */
export async function withNode<T>(
  invocation: Invocation,
  work: (client: Client) => Promise<T>,
  waitingText?: () => string
): Promise<T> {
  const { host, output } = invocation
  const target = targetOf(invocation)
  const socketPath = readRuntime(target.dataDir)?.socket ?? socketPathOf(target.dataDir, host.env)
  const client = Client.connect({ socketPath })
  try {
    return await showWaiting(work(client), { output, nowMs: host.nowMs, text: waitingText })
  } catch (error) {
    if (!(error instanceof AspenError)) throw error
    if (error.code === 'NODE_NOT_RUNNING') throw notRunning(target, host.env, error)
    throw error.detail.fields?.['is_unanswered'] === true ? silent(invocation, error) : error
  } finally {
    client.close()
  }
}

/** The same error; the hint names this node and its process, and not the command that was typed. */
function silent(invocation: Invocation, error: AspenError): AspenError {
  const { dataDir, selector } = targetOf(invocation)
  const pid = readRuntime(dataDir)?.pid
  const commands = ['status', 'logs'].filter((name) => name !== invocation.command)
  const typed = commands.map((name) => `'aspen ${name}${selector}'`).join(' and ')
  const who = pid === undefined ? 'its process' : `its process (pid ${pid})`
  const why = `${who} may be stopped or overloaded: ${typed} may say more`
  const hint = error.outcome === 'unknown' ? `read before you write again; ${why}` : why
  return new AspenError({ ...error.detail, hint }, { cause: error })
}

/** Why nobody answers for the node, and what to do. */
export function notRunning(target: Target, env: Environment, cause?: unknown): ConfigError {
  const { dataDir, selector } = target
  const runtime = readRuntime(dataDir)
  if (runtime?.isRepairing === true && isAlive(runtime.pid)) {
    const detail = {
      message: `the node in ${shortPath(dataDir)} is being repaired, with the help of other members (pid ${runtime.pid})`,
      hint: `'aspen logs${selector}' shows what it waits for, 'aspen stop${selector}' ends it`
    }
    return new ConfigError({ code: 'NODE_NOT_RUNNING', ...detail }, { cause })
  }
  const detail = existsSync(join(dataDir, 'node.json'))
    ? stoppedDetail(target)
    : noNodeDetail(target, env)
  return new ConfigError({ ...detail, code: 'NODE_NOT_RUNNING' }, { cause })
}

/** A node that may never start again, or not yet, is not told to. */
function stoppedDetail({ dataDir, selector }: Target): Omit<ErrorDetail, 'code'> {
  const place = shortPath(dataDir)
  const state = readState(dataDir)
  const unfit = state === 'creating' ? halfMade(place) : whyUnfitToStart(state ?? '', place)
  if (unfit !== null) return unfit
  const message = `the node in ${place} is not running`
  return { message, hint: `'aspen start${selector}' starts it` }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** What to say where no node is: the nodes that this user has elsewhere, or how to make one. */
export function noNodeDetail(
  { dataDir, selector }: Target,
  env: Environment
): { readonly message: string; readonly hint: string } {
  const message = `there is no node in ${shortPath(dataDir)}`
  const isNamed = dataDir === defaultDataDir(basename(dataDir), env)
  const names = isNamed ? nodesHere(env).map((name) => `--name ${name}`) : []
  if (names.length > 0) {
    const nodes =
      names.length === 1 ? 'the node on this machine is' : 'the nodes on this machine are'
    return { message, hint: `${nodes} ${names.join(', ')}` }
  }
  const hint = `'aspen create${selector}' makes a cluster, 'aspen join${selector} <ticket>' joins one`
  return { message, hint }
}
