// `aspen create`, `aspen join`, `aspen start`: in the background, or with --foreground in this
// terminal.

import { existsSync } from 'node:fs'
import { hexOf } from '../encoding.ts'
import { AspenError, ConfigError, EXIT, StorageError } from '../errors.ts'
import { CONFIG_KEYS } from '../config/schema.ts'
import type { ConfigKey } from '../config/schema.ts'
import { joinTicketOf } from '../node/join-ticket.ts'
import type { Status } from '../service/documents.ts'
import { noNodeDetail } from './connect.ts'
import { startInBackground } from './daemon.ts'
import type { BackgroundKind, Ready, Waiting } from './daemon-messages.ts'
import { backgroundKind } from './daemon-messages.ts'
import type { Invocation } from './invocation.ts'
import { shortPath } from './invocation.ts'
import type { Launch } from './launch.ts'
import { launchOf } from './launch.ts'
import { ProgressDisplay } from './progress.ts'
import type { Origin } from './results.ts'
import { printCreated, printJoined, printStarted, shortId, warnOfPort } from './results.ts'
import { runningStatus, statusWithLeader } from './running.ts'
import { StopSignals } from './signals.ts'
import { isUninitialized, printWaiting, waitingNode } from './uninitialized.ts'
import type { Style } from './style.ts'
import { readTicket } from './ticket-input.ts'

export async function create(invocation: Invocation): Promise<number> {
  const launch = await launchOf(invocation, 'create')
  const background = backgroundKind(invocation.host.env)
  if (background !== null) return asBackground(launch, background)
  const running = await runningHere(invocation, launch)
  if (running === 'waiting') throw waitsHere(launch)
  if (running !== null) throw clusterExists(running, launch)
  return launchNode(invocation, { launch, ticket: null })
}

export async function join(invocation: Invocation): Promise<number> {
  const launch = await launchOf(invocation, 'join')
  const background = backgroundKind(invocation.host.env)
  if (background !== null) return asBackground(launch, background)
  const text = await readTicket(invocation, launch.ticketFile)
  const ticket = joinTicketOf(text)
  warnOfExpiry(invocation, ticket.expiresMs)
  const running = await runningHere(invocation, launch)
  if (running === 'waiting') throw waitsHere(launch)
  if (running === null) return launchNode(invocation, { launch, ticket: text })
  if (running.cluster.id !== hexOf(ticket.clusterId)) throw otherCluster(running, launch)
  const ready = { status: running, ticket: null, wasMember: true, httpPortTaken: null }
  printJoined(ready, { ...resultOptions(invocation, launch), tookMs: null })
  noteIgnored(invocation, launch)
  return EXIT.ok
}

export async function start(invocation: Invocation): Promise<number> {
  const launch = await launchOf(invocation, 'start')
  const background = backgroundKind(invocation.host.env)
  if (background !== null) return asBackground(launch, background)
  const running = await runningHere(invocation, launch)
  if (running === 'waiting') return await waitsAlready(invocation, launch)
  if (running !== null) return runsAlready(invocation, launch, running)
  if (launch.peers === null && !existsSync(launch.target.dataDir)) {
    const detail = noNodeDetail(launch.target, invocation.host.env)
    throw new ConfigError({ code: 'NO_CLUSTER_HERE', ...detail })
  }
  try {
    return await launchNode(invocation, { launch, ticket: null })
  } catch (error) {
    if (!(error instanceof AspenError) || error.code !== 'LOCKED') throw error
    const other = await runningStatus(invocation, launch)
    if (other === null) throw error
    return runsAlready(invocation, launch, other) // started by somebody else in the same moment
  }
}

async function runningHere(
  invocation: Invocation,
  launch: Launch
): Promise<Status | 'waiting' | null> {
  try {
    return await runningStatus(invocation, launch)
  } catch (error) {
    if (isUninitialized(error)) return 'waiting'
    throw error
  }
}

async function waitsAlready(invocation: Invocation, launch: Launch): Promise<number> {
  const waiting = await waitingNode(invocation, launch.timeoutMs)
  if (invocation.flags.isSet('foreground')) throw heldBy(launch, waiting.pid)
  printWaits(invocation, launch, { waiting, how: 'already running' })
  noteIgnored(invocation, launch)
  return EXIT.ok
}

function printWaits(
  invocation: Invocation,
  { target }: Launch,
  { waiting, how }: { readonly waiting: Waiting; readonly how: string }
): void {
  const title = (style: Style): string =>
    `${style.symbol('ok')} ${how}  (pid ${waiting.pid}), without a cluster`
  printWaiting(invocation, { waiting, target }, title)
}

/** Whoever keeps a node in the foreground, a service manager say, must not take this for its end. */
function runsAlready(invocation: Invocation, launch: Launch, status: Status): number {
  if (invocation.flags.isSet('foreground')) throw heldBy(launch, status.pid)
  printStarted(status, resultOptions(invocation, launch), true)
  noteIgnored(invocation, launch)
  return EXIT.ok
}

function heldBy({ target }: Launch, pid: number): StorageError {
  return new StorageError({
    code: 'LOCKED',
    message: `a node runs already in ${shortPath(target.dataDir)} (pid ${pid})`,
    hint: `'aspen stop${target.selector}' ends it`
  })
}

/** What was typed for a node that runs already has no effect, now or later. */
function noteIgnored({ output }: Invocation, launch: Launch): void {
  const ignored = CONFIG_KEYS.filter((key) => !PLACE_KEYS.has(key))
    .flatMap((key) => launch.typed[key]?.origin.where ?? [])
    .map((flag) => flag.split(' ')[0])
  if (ignored.length === 0) return
  const warning = output.errorStyle.symbol('warning')
  const how = `'aspen stop${launch.target.selector}' first`
  output.note(
    `${warning} the running node stays as it is: to change ${[...new Set(ignored)].join(', ')}, ${how}`
  )
}

/** Which node it is, and with what it joined: nothing that could be changed. */
const PLACE_KEYS: ReadonlySet<ConfigKey> = new Set(['data_dir', 'name', 'ticket_file'])

export interface Plan {
  readonly launch: Launch
  readonly ticket: string | null
  /** what a cluster that is created begins with; null: with nothing */
  readonly origin?: Origin | null
}

/** Starts the node and prints the result. @returns the exit code of this process */
export async function launchNode(invocation: Invocation, plan: Plan): Promise<number> {
  const { flags, host, output } = invocation
  const isForeground = flags.isSet('foreground')
  const startedMs = host.nowMs()
  const display = new ProgressDisplay({
    output,
    nowMs: host.nowMs,
    hasSteps: plan.launch.command === 'join',
    canRedraw: !isForeground
  })
  display.update({ phase: 'open', text: 'starting the node' })
  const onReady = (ready: Ready) => {
    display.close('ok')
    printReady(invocation, plan, { ready, tookMs: host.nowMs() - startedMs })
  }
  try {
    if (isForeground) {
      const { runInTerminal } = await import('./foreground.ts')
      return await runInTerminal({ ...plan, output, display, onReady })
    }
    const ready = await runThere(plan, display)
    if (plan.launch.command === 'start' && ready.status !== null) {
      display.update({ phase: 'connect', text: 'looking for a leader' })
      onReady({ ...ready, status: await statusWithLeader(invocation, ready.status) })
    } else onReady(ready)
    return EXIT.ok
  } finally {
    display.close('failure')
  }
}

/** Only the process of a node loads what a node is made of. */
async function asBackground(launch: Launch, kind: BackgroundKind): Promise<number> {
  const { runInBackground } = await import('./background.ts')
  return runInBackground(launch, kind)
}

async function runThere({ launch, ticket }: Plan, display: ProgressDisplay): Promise<Ready> {
  const signals = new StopSignals()
  try {
    return await startInBackground({
      launch,
      ticket,
      onProgress: (progress) => display.update(progress),
      interrupted: signals.first
    })
  } finally {
    signals.close()
  }
}

function printReady(
  invocation: Invocation,
  { launch, origin = null }: Plan,
  { ready, tookMs }: { readonly ready: Ready; readonly tookMs: number }
): void {
  const options = resultOptions(invocation, launch)
  if (ready.status === null) {
    return printWaits(invocation, launch, { waiting: ready.waiting, how: 'started' })
  }
  warnOfPort(ready, options)
  switch (launch.command) {
    case 'create':
      return printCreated(ready, options, origin)
    case 'join':
      return printJoined(ready, { ...options, tookMs })
    case 'start':
      return printStarted(ready.status, options, false)
  }
}

function resultOptions({ output, host }: Invocation, { target }: Launch) {
  return { output, target, nowMs: host.nowMs() }
}

function clusterExists(status: Status, { target }: Launch): AspenError {
  return new ConfigError({
    code: 'DATA_DIR_TAKEN',
    message: `a cluster exists here: ${shortId(status)}, in ${shortPath(target.dataDir)}`,
    hint: `'aspen ticket create${target.selector}' mints a ticket; another --name or --data-dir makes another cluster`
  })
}

function waitsHere({ target }: Launch): AspenError {
  return new ConfigError({
    code: 'DATA_DIR_TAKEN',
    message: `a node without a cluster runs in ${shortPath(target.dataDir)}, and waits for one`,
    hint: `'aspen stop${target.selector}' ends it, and the same command again takes its place`
  })
}

function otherCluster(status: Status, { target }: Launch): AspenError {
  return new ConfigError({
    code: 'DATA_DIR_TAKEN',
    message: `${shortPath(target.dataDir)} belongs to another cluster, ${shortId(status)}`,
    hint: 'join with another --name or --data-dir'
  })
}

/** The cluster decides by its own clock; this one may be wrong. */
function warnOfExpiry({ host, output }: Invocation, expiresMs: number): void {
  if (expiresMs > host.nowMs()) return
  const warning = output.errorStyle.symbol('warning')
  output.note(`${warning} by the clock of this machine the ticket has expired; asking the cluster`)
}
