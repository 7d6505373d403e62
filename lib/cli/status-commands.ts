// `aspen status` and `aspen members`: what this node knows, also without quorum.

import { CODES, EXIT } from '../errors.ts'
import type { MemberRow, Status } from '../service/documents.ts'
import { withNode } from './connect.ts'
import type { Invocation } from './invocation.ts'
import { requestTimeoutMs, shortPath, targetOf } from './invocation.ts'
import type { Style } from './style.ts'
import type { Column } from './table.ts'
import { renderTable } from './table.ts'
import { formatDuration, formatSize, plural, printable } from './text.ts'
import { isUninitialized, printWaiting, waitingNode } from './uninitialized.ts'

export async function status(invocation: Invocation): Promise<number> {
  const { flags, output } = invocation
  const timeoutMs = requestTimeoutMs(invocation)
  const isForPeople = !output.isJson && !output.isQuiet
  const answers = await withNode(invocation, (node) => {
    const names = isForPeople ? node.members({ timeoutMs }) : { members: [] }
    return Promise.all([node.status({ timeoutMs }), names])
  }).catch((error: unknown) => {
    if (!isUninitialized(error)) throw error
    return null
  })
  if (answers === null) return await statusOfWaiting(invocation, timeoutMs)
  const [document, { members: rows }] = answers
  output.result({
    human: (style) => statusLines(document, rows, style),
    json: () => document,
    quiet: () => document.state
  })
  if (document.state === 'no_quorum') return EXIT.unavailable
  return document.state === 'degraded' && flags.isSet('strict') ? EXIT.degraded : EXIT.ok
}

async function statusOfWaiting(invocation: Invocation, timeoutMs: number): Promise<number> {
  const waiting = await waitingNode(invocation, timeoutMs)
  const target = targetOf(invocation)
  const title = (style: Style): string =>
    `${style.symbol('warning')} runs (pid ${waiting.pid}), and belongs to no cluster`
  printWaiting(invocation, { waiting, target }, title)
  return CODES.NOT_INITIALIZED.exitCode
}

export async function members(invocation: Invocation): Promise<number> {
  const timeoutMs = requestTimeoutMs(invocation)
  const document = await withNode(invocation, (node) => node.members({ timeoutMs }))
  invocation.output.result({
    human: (style) =>
      renderTable(
        memberColumns(document.members),
        document.members.map((row) => cells(row, style)),
        style
      ),
    json: () => document,
    quiet: () => document.members.map((member) => String(member.id)).join('\n')
  })
  return EXIT.ok
}

/** Where names say who is who, a narrow terminal does without keys. */
function memberColumns(rows: readonly MemberRow[]): readonly Column[] {
  const hasUniqueNames = new Set(rows.map((row) => row.name)).size === rows.length
  return [
    { title: 'ID', isNumber: true },
    { title: 'NAME' },
    { title: 'KEY', isOptional: hasUniqueNames },
    { title: 'ROLE' },
    { title: 'STATE' },
    { title: 'LAG', isNumber: true },
    { title: 'RTT', isNumber: true },
    { title: 'PATH', isOptional: true },
    { title: 'VERSION', isOptional: true },
    { title: 'ADDRESS' }
  ]
}

/** The beginning of a key that people see: enough to tell the members of a cluster apart. */
function shortKey(key: string): string {
  return key.slice(0, SHORT_KEY_DIGITS)
}

const SHORT_KEY_DIGITS = 8

function cells(member: MemberRow, style: Style): string[] {
  const dash = style.symbol('dash')
  return [
    String(member.id),
    `${printable(member.name)}${member.is_self ? '*' : ''}`,
    shortKey(member.key),
    member.role,
    memberState(member),
    member.lag === null ? dash : String(member.lag),
    member.rtt_ms === null ? dash : `${member.rtt_ms.toFixed(1)} ms`,
    member.path ?? dash,
    printable(member.version),
    member.addresses[0] ?? dash
  ]
}

function memberState(member: MemberRow): string {
  if (!member.linked) return 'no link'
  return member.is_leader ? 'leader' : 'ok'
}

const STATE_TEXT = {
  healthy: { symbol: 'ok', colour: 'green', text: 'healthy' },
  degraded: {
    symbol: 'warning',
    colour: 'yellow',
    text: "degraded: a voter is out of sight, 'aspen members' shows which"
  },
  no_quorum: {
    symbol: 'failure',
    colour: 'red',
    text: 'no quorum: writes and linearizable reads wait, stale reads work'
  },
  joining: { symbol: 'warning', colour: 'yellow', text: 'joining: catching up' }
} as const

function statusLines(document: Status, others: readonly MemberRow[], style: Style): string[] {
  const { node, cluster, api } = document
  const state = STATE_TEXT[document.state]
  const rows: [string, string][] = [
    ['cluster', cluster.id],
    ['state', `${style.symbol(state.symbol)} ${style.colour(state.colour, state.text)}`],
    ['leader', `${leaderText(document, others)} (term ${document.term})`],
    ['members', memberText(document)],
    [
      'this node',
      `${node.id} ${printable(node.name)} (${document.role}, key ${shortKey(node.key)}), up ${formatDuration(document.uptime_ms)}`
    ],
    ['log', `committed ${document.commit_index}, applied ${document.applied_index}`],
    ['store', storeText(document.storage)],
    ...fetchRows(document.storage),
    ['discovery', discoveryText(document)],
    ['addresses', document.addresses.join(', ') || 'none'],
    ['api', `${api.http} (unix: ${shortPath(api.socket)})`],
    ['data', `${shortPath(document.data_dir)} (pid ${document.pid})`],
    ...diskRows(document, style),
    ['version', document.version]
  ]
  return rows.map(([title, text]) => `${style.bold(title.padEnd(11))}${text}`)
}

function storeText({ backend, ...storage }: Status['storage']): string {
  const { keys, bytes, log_base, log_last, snapshot } = storage
  const kept = `${keys} ${keys === 1 ? 'key' : 'keys'}, ${formatSize(bytes)}`
  const entries = `${log_last - log_base} entries in the log`
  const log = backend === 'inmemory' ? `${entries}, in memory: gone when the node ends` : entries
  if (snapshot === null) return `${kept}; ${log}`
  return `${kept}; ${log}, snapshot ${snapshot.index} (${formatSize(snapshot.bytes)})`
}

/** Only while it is so: the log goes on after it, so the node may look as if it stood still. */
function fetchRows({ fetching }: Status['storage']): [string, string][] {
  if (fetching === null) return []
  const { index, bytes, percent } = fetching
  return [
    ['fetching', `snapshot ${index} from other members: ${percent} % of ${formatSize(bytes)}`]
  ]
}

/** Only where somebody must do something. */
function diskRows({ disk }: Status, style: Style): [string, string][] {
  if (disk?.is_full !== true) return []
  const text = `${disk.percent} % used: no writes but deletes while this node leads, free some space`
  return [['disk', `${style.symbol('failure')} ${style.colour('red', text)}`]]
}

function leaderText({ leader, node }: Status, others: readonly MemberRow[]): string {
  if (leader === null) return 'none'
  if (leader === node.id) return 'this node'
  const row = others.find((member) => member.id === leader)
  return row === undefined ? `node ${leader}` : `node ${leader} ${printable(row.name)}`
}

function memberText({ voters, learners, failure_tolerance: tolerance }: Status): string {
  const learnerText = learners.length === 0 ? '' : `, ${plural(learners.length, 'learner')}`
  return `${plural(voters.length, 'voter')}${learnerText}; tolerates ${plural(tolerance, 'failure')}`
}

function discoveryText({ discovery }: Status): string {
  if (discovery.announced) return 'announced on the DHT'
  if (!discovery.gossip) return 'off (gossip): members find each other by key and address'
  return discovery.online ? 'online, not announced yet' : 'the DHT does not answer'
}
