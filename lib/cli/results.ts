// What `create`, `join` and `start` print when the node is there: on a terminal the next command to
// type, for programs the documented fields.

import { present } from '../assert.ts'
import type { Status } from '../service/documents.ts'
import type { MemberReady } from './daemon-messages.ts'
import type { Target } from './invocation.ts'
import { shortPath } from './invocation.ts'
import type { Output } from './output.ts'
import type { Style } from './style.ts'
import { formatDuration, plural, printable } from './text.ts'
import { ticketLines } from './ticket-lines.ts'

/** Hex digits of a cluster id that people see. */
const SHORT_ID_DIGITS = 6

export interface ResultOptions {
  readonly output: Output
  readonly target: Target
  readonly nowMs: number
}

/** What a new cluster begins with. */
export interface Origin {
  /** for people, below the first line */
  readonly lines: (style: Style) => readonly string[]
  /** more fields of the document */
  readonly document: object
}

export function printCreated(
  ready: MemberReady,
  { output, target, nowMs }: ResultOptions,
  origin: Origin | null = null
): void {
  const { status } = ready
  const ticket = present(ready.ticket, 'the first ticket of a new cluster')
  output.result({
    human: (style) => [
      `${style.symbol('ok')} created cluster  ${style.bold(shortId(status))}  data ${shortPath(status.data_dir)}`,
      ...(origin?.lines(style) ?? []),
      nodeLine(status, style),
      ...memoryLines(status, style),
      announcementLine(status, target, style),
      '',
      ...ticketLines(ticket, { style, nowMs }),
      `  ${style.dim(`more tickets: aspen ticket create${target.selector}`)}`,
      '',
      '  On this machine:',
      '',
      `    ${style.bold(`aspen kv put hello world${target.selector}`)}`,
      '',
      toleranceLine(status, style)
    ],
    json: () => ({
      ticket: ticket.ticket,
      ticket_id: ticket.id,
      expires_at: ticket.expires_at,
      ...nodeDocument(status),
      announced: status.discovery.announced,
      ...origin?.document
    }),
    quiet: () => ticket.ticket
  })
}

export function printJoined(
  ready: MemberReady,
  { output, target, tookMs }: ResultOptions & { readonly tookMs: number | null }
): void {
  const { status, wasMember } = ready
  output.result({
    human: (style) => [
      wasMember
        ? `${style.symbol('ok')} already a member of cluster ${style.bold(shortId(status))} (${status.role})`
        : `${style.symbol('ok')} joined cluster  ${style.bold(shortId(status))}  as ${status.role}${tookText(tookMs)}`,
      nodeLine(status, style),
      ...memoryLines(status, style),
      ...(wasMember ? [] : roleLines(status, target)),
      toleranceLine(status, style)
    ],
    json: () => ({ ...nodeDocument(status), already_member: wasMember }),
    quiet: () => String(status.node.id)
  })
}

export function printStarted(
  status: Status,
  { output, target }: ResultOptions,
  wasRunning: boolean
): void {
  output.result({
    human: (style) => [
      `${style.symbol('ok')} ${wasRunning ? 'already running' : 'started'}  (pid ${status.pid})`,
      nodeLine(status, style),
      ...leaderLines(status, target, style)
    ],
    json: () => ({ ...nodeDocument(status), already_running: wasRunning }),
    quiet: () => String(status.pid)
  })
}

/** Whoever has the old address of the API written down has to know. */
export function warnOfPort(
  { httpPortTaken, status }: MemberReady,
  { output, target }: ResultOptions
): void {
  if (httpPortTaken === null) return
  const warning = output.errorStyle.symbol('warning')
  const what = `port ${httpPortTaken} of the HTTP API is taken: it is ${status.api.http} until the next start`
  const hint = `'aspen start${target.selector} --http-port <port>' records another one`
  output.note(`${warning} ${what}; ${hint}`)
}

/** The fields that all three have in common. */
function nodeDocument(status: Status): object {
  const { node, cluster, role, data_dir, pid, api } = status
  return { node, cluster, role, data_dir, pid, api }
}

export function shortId(status: Status): string {
  return status.cluster.id.slice(0, SHORT_ID_DIGITS)
}

function nodeLine({ node, role, leader, api }: Status, style: Style): string {
  const leads = leader === node.id ? ', leader' : ''
  const who = `${style.bold(printable(node.name))}  (node ${node.id}, ${role}${leads})`
  return `${style.symbol('ok')} this node is  ${who}  api ${api.http} (unix: ${shortPath(api.socket)})`
}

function memoryLines({ storage }: Status, style: Style): readonly string[] {
  if (storage.backend !== 'inmemory') return []
  const what = 'log, state and key are in memory only (for development and tests)'
  return [`${style.symbol('warning')} ${what}: all of it is gone when this node ends`]
}

function announcementLine({ discovery }: Status, { selector }: Target, style: Style): string {
  if (discovery.announced) return `${style.symbol('ok')} announced on the DHT`
  if (!discovery.gossip) {
    const why = 'gossip is off, so nothing of the cluster is announced on the DHT'
    return `${style.symbol('dash')} ${why}: others join by this node's key and addresses`
  }
  const how = discovery.online ? 'announcing on the DHT' : 'the DHT has not answered yet'
  return `${style.symbol('dash')} ${how}: machines in other networks can join when 'aspen status${selector}' says that it is announced`
}

/** A node that starts alone is well, and yet nothing can be written: say so before somebody tries. */
function leaderLines(
  { leader, uptime_ms: uptimeMs }: Status,
  { selector }: Target,
  style: Style
): string[] {
  if (leader !== null || uptimeMs < LEADER_EXPECTED_MS) return []
  const why = 'no leader yet: reads and writes wait until a majority of the voters runs'
  return [`${style.symbol('warning')} ${why}; 'aspen status${selector}' shows it`]
}

/** A node that runs no longer than this has not had the time to hear of a leader. */
const LEADER_EXPECTED_MS = 1_000

function toleranceLine(status: Status, style: Style): string {
  const { voters, failure_tolerance: tolerance } = status
  const verb = voters.length === 1 ? 'tolerates' : 'tolerate'
  const text = `${plural(voters.length, 'voter')} ${verb} ${plural(tolerance, 'failure')}`
  if (tolerance > 0) return `${style.symbol('ok')} ${text}`
  const advice = toleranceAdvice(status)
  return `${style.symbol('warning')} ${text}: ${advice}`
}

function toleranceAdvice({ voters, learners }: Status): string {
  const missing = VOTERS_FOR_ONE_FAILURE - voters.length - learners.length
  if (missing > 0) return `join ${missing} more`
  return voters.length < VOTERS_FOR_ONE_FAILURE
    ? 'learners become voters when they have caught up'
    : "not all of them are linked; 'aspen members' shows which"
}

const VOTERS_FOR_ONE_FAILURE = 3

function roleLines({ role }: Status, { selector }: Target): string[] {
  if (role !== 'learner') return []
  return [`  it becomes a voter when the cluster needs one; 'aspen members${selector}' shows it`]
}

function tookText(tookMs: number | null): string {
  return tookMs === null ? '' : `  in ${formatDuration(tookMs)}`
}
