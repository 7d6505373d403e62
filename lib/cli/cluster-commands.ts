// `aspen members add|promote|demote|remove`, `aspen leader`, `aspen leader transfer`, `aspen snapshot`: what one
// node does for the whole cluster. Members are named by id or by name.

import { createInterface } from 'node:readline'
import type { Client } from '../client/client.ts'
import { ConfigError, ControlPlaneError, EXIT } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import { isNodeId } from '../node-id.ts'
import type { ClusterState, MemberRow } from '../service/documents.ts'
import { withNode } from './connect.ts'
import type { Invocation } from './invocation.ts'
import { requestTimeoutMs, targetOf, TIMEOUT_RANGE } from './invocation.ts'
import type { Style } from './style.ts'
import { plural, printable } from './text.ts'

/** For what waits for another machine, or for a disk. */
const LONG_TIMEOUT_MS = 60_000

export async function addMember(invocation: Invocation): Promise<number> {
  const { args, flags, output } = invocation
  const key = (args['key'] ?? '').toLowerCase()
  const learner = { key, addresses: flags.list('address') }
  const timeoutMs = flags.duration('timeout', TIMEOUT_RANGE) ?? LONG_TIMEOUT_MS
  const state = await withNode(
    invocation,
    (node) => node.cluster.addLearner({ learner }, { timeoutMs }),
    () => 'admitted by its key; waiting until the node is here and has caught up'
  )
  const id = state.nodes.find((node) => node.key === key)?.id ?? null
  output.result({
    human: (style) => [
      `${style.symbol('ok')} node ${id} belongs to the cluster, and has caught up`,
      votersLine(state, style),
      `  'aspen members promote ${id}${targetOf(invocation).selector}' makes it a voter`
    ],
    json: () => ({ id, ...state }),
    quiet: () => String(id)
  })
  return EXIT.ok
}

export async function promote(invocation: Invocation): Promise<number> {
  const { args, flags, output } = invocation
  const replaced = flags.text('replace')
  const timeoutMs = requestTimeoutMs(invocation)
  const [promotion, state] = await withNode(invocation, async (node) => {
    const rows = await membersOf(node, timeoutMs)
    const order = {
      learnerId: idOf(args['member'] ?? '', rows),
      force: flags.isSet('force'),
      ...(replaced === null ? {} : { replaceNode: idOf(replaced, rows) })
    }
    const made = await node.cluster.promoteLearner(order, { timeoutMs })
    return [made, await node.cluster.currentState({ consistency: 'stale', timeoutMs })] as const
  })
  const { learnerId, previousVoters, newVoters, timestamp } = promotion
  const demoted = previousVoters.filter((id) => !newVoters.includes(id))
  output.result({
    human: (style) => [
      `${style.symbol('ok')} node ${learnerId} is a voter${demoted.map((id) => `, node ${id} a learner`).join('')}`,
      votersLine({ ...state, members: [...newVoters] }, style)
    ],
    json: () => ({
      learner_id: learnerId,
      previous_voters: previousVoters,
      new_voters: newVoters,
      timestamp
    }),
    quiet: () => newVoters.join('\n')
  })
  return EXIT.ok
}

export async function demote(invocation: Invocation): Promise<number> {
  const timeoutMs = requestTimeoutMs(invocation)
  const [id, state] = await withNode(invocation, async (node) => {
    const member = idOf(invocation.args['member'] ?? '', await membersOf(node, timeoutMs))
    const now = await node.cluster.currentState({ timeoutMs })
    if (!now.nodes.some((one) => one.id === member)) throw notFound(String(member))
    if (!now.members.includes(member)) return [member, now] as const
    const members = now.members.filter((voter) => voter !== member)
    // two who demote at the same moment must not undo each other
    const change = { members, expected: now.members }
    return [member, await node.cluster.changeMembership(change, { timeoutMs })] as const
  })
  invocation.output.result({
    human: (style) => [`${style.symbol('ok')} node ${id} is a learner`, votersLine(state, style)],
    json: () => state,
    quiet: () => state.members.join('\n')
  })
  return EXIT.ok
}

export async function removeMember(invocation: Invocation): Promise<number> {
  const { args, flags, output } = invocation
  const timeoutMs = requestTimeoutMs(invocation)
  const rows = await withNode(invocation, (node) => membersOf(node, timeoutMs))
  const id = idOf(args['member'] ?? '', rows)
  if (!(await isConfirmed(invocation, nameOf(id, rows)))) {
    output.note('nothing was done')
    return EXIT.failed
  }
  const { revokedTickets, ...state } = await withNode(invocation, (node) =>
    node.cluster.removeMember({ id, force: flags.isSet('force') }, { timeoutMs })
  )
  output.result({
    human: (style) => [
      `${style.symbol('ok')} ${nameOf(id, rows)} is removed for good`,
      votersLine(state, style),
      ...revokedLines(revokedTickets, targetOf(invocation).selector)
    ],
    json: () => ({ id, ...state, revoked_tickets: revokedTickets }),
    quiet: () => state.members.join('\n')
  })
  return EXIT.ok
}

export async function leader(invocation: Invocation): Promise<number> {
  const timeoutMs = requestTimeoutMs(invocation)
  const [id, rows, { term }] = await withNode(invocation, (node) =>
    Promise.all([node.cluster.getLeader(), membersOf(node, timeoutMs), node.status({ timeoutMs })])
  )
  const row = rows.find((member) => member.id === id)
  invocation.output.result({
    human: (style) =>
      id === null
        ? [`${style.symbol('warning')} no leader is known here: writes wait`]
        : [`${nameOf(id, rows)}${row?.is_self === true ? ', this node,' : ''} leads term ${term}`],
    json: () => ({ leader: id, name: row?.name ?? null, key: row?.key ?? null, term }),
    quiet: () => (id === null ? null : String(id))
  })
  return id === null ? EXIT.unavailable : EXIT.ok
}

export async function transferLeader(invocation: Invocation): Promise<number> {
  const { args, output } = invocation
  const timeoutMs = requestTimeoutMs(invocation)
  const [id, rows] = await withNode(invocation, async (node) => {
    const members = await membersOf(node, timeoutMs)
    const target = args['member'] === undefined ? {} : { target: idOf(args['member'], members) }
    const { leader: now } = await node.cluster.transferLeadership(target, { timeoutMs })
    return [now, members] as const
  })
  output.result({
    human: (style) => [`${style.symbol('ok')} ${nameOf(id, rows)} leads`],
    json: () => ({ leader: id }),
    quiet: () => String(id)
  })
  return EXIT.ok
}

export async function snapshot(invocation: Invocation): Promise<number> {
  const { flags, output } = invocation
  const timeoutMs = flags.duration('timeout', TIMEOUT_RANGE) ?? LONG_TIMEOUT_MS
  const made = await withNode(
    invocation,
    (node) => node.cluster.triggerSnapshot({ timeoutMs }),
    () => 'making a snapshot'
  )
  output.result({
    human: (style) => [
      `${style.symbol('ok')} this node has a snapshot as of entry ${made.index}, and every member makes its own`
    ],
    json: () => ({ snapshot: made }),
    quiet: () => String(made.index)
  })
  return EXIT.ok
}

/** `3 voters; tolerates 1 failure`, and what may help where that is none. */
function votersLine({ members, learners }: ClusterState, style: Style): string {
  const tolerated = Math.ceil(members.length / 2) - 1
  const learnerText = learners.length === 0 ? '' : `, ${plural(learners.length, 'learner')}`
  const text = `${plural(members.length, 'voter')}${learnerText}; tolerates ${plural(tolerated, 'failure')}`
  if (tolerated > 0) return `${style.symbol('ok')} ${text}`
  return `${style.symbol('warning')} ${text}: with ${members.length === 1 ? 'two' : 'one'} more it would be 1`
}

function revokedLines(ids: readonly string[], selector: string): readonly string[] {
  if (ids.length === 0) return []
  const what = `${plural(ids.length, 'ticket')} revoked with it: ${ids.join(', ')}`
  return [`  ${what}; 'aspen ticket create${selector}' makes another`]
}

async function membersOf(node: Client, timeoutMs: number): Promise<readonly MemberRow[]> {
  return (await node.members({ timeoutMs })).members
}

function nameOf(id: NodeId, rows: readonly MemberRow[]): string {
  const name = rows.find((row) => row.id === id)?.name ?? ''
  return name === '' ? `node ${id}` : `node ${id} ${printable(name)}`
}

/** An id as it is, whether this node knows it or not; else the one member of that name. @throws ControlPlaneError, ConfigError */
function idOf(text: string, rows: readonly MemberRow[]): NodeId {
  if (/^\d{1,15}$/.test(text) && isNodeId(Number(text))) return Number(text)
  const named = rows.filter(({ name }) => name === text)
  const [row] = named
  if (row === undefined) throw notFound(text)
  if (named.length === 1) return row.id
  const ids = named.map(({ id }) => id).join(' and ')
  throw new ConfigError({
    code: 'CONFIG_INVALID',
    message: `several members have the name '${printable(text)}': ${ids}`,
    hint: 'say which by its id'
  })
}

function notFound(text: string): ControlPlaneError {
  return new ControlPlaneError({
    code: 'MEMBER_NOT_FOUND',
    message: `no member has the id or the name '${printable(text)}'`,
    hint: "'aspen members' shows who belongs to the cluster"
  })
}

/** Whether somebody who can be asked says yes. @throws ConfigError CONFIG_INVALID where nobody can */
async function isConfirmed({ flags, host, output }: Invocation, who: string): Promise<boolean> {
  if (flags.isSet('yes')) return true
  if (host.stdin.isTTY !== true || output.isJson || output.isQuiet) {
    throw new ConfigError({
      code: 'CONFIG_INVALID',
      message: `${who} would be removed for good, and nobody can be asked here`,
      hint: '--yes removes it without asking'
    })
  }
  output.note(`${who} is removed for good: its key is never let in again. Go on? (y/N)`)
  const lines = createInterface({ input: host.stdin })
  try {
    for await (const line of lines) return /^\s*y(es)?\s*$/i.test(line)
  } finally {
    lines.close()
  }
  return false
}
