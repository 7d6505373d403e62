// Who may come in, as a reducer: trust state and control command in, trust state and result out.
// Pure and deterministic: its only clock is the stamp of the entry (log time), so every node closes,
// refuses and forgets the same invites at the same index. Who goes again: registry.ts.
//
// Bounds: at most MAX_OPEN_INVITES open invites, MAX_CLOSED_INVITES closed ones none older than
// MAX_CLOSED_INVITE_AGE_MS, MAX_MEMBERS nodes, MAX_REMOVED_KEYS removed ones. Changing one of these limits, or the order of the
// checks, changes what old entries mean: it needs a new command kind.

import b4a from 'b4a'
import { assert, unreachable } from '../assert.ts'
import type { ErrorDetail } from '../errors.ts'
import { REJOIN_HINT } from '../errors.ts'
import {
  MAX_CLOSED_INVITES,
  MAX_CLOSED_INVITE_AGE_MS,
  MAX_MEMBERS,
  MAX_OPEN_INVITES
} from '../limits.ts'
import { MAX_NODE_ID } from '../node-id.ts'
import type { NodeId } from '../node-id.ts'
import type { Index } from '../raft/entry.ts'
import type { ControlCommand } from './command.ts'
import type { UpkeepCommand } from './upkeep.ts'
import type { ApplyResult, Invite, NodeRecord, TrustState } from './state-machine.ts'

/** Before the founding entry. */
export const EMPTY_TRUST: TrustState = {
  epoch: 0,
  nextNodeId: 1,
  nodes: [],
  invites: [],
  removed: []
}

export type TrustCommand = Exclude<ControlCommand, UpkeepCommand>

/** The entry that carries the command. */
export interface Stamp {
  readonly index: Index
  /** log time */
  readonly timeMs: number
}

export interface TrustStep {
  /** the same object when nothing changed; records that did not change are the same objects too */
  readonly state: TrustState
  readonly result: ApplyResult
}

export function applyTrust(state: TrustState, command: TrustCommand, at: Stamp): TrustStep {
  switch (command.kind) {
    case 'found':
      return found(state, command, at)
    case 'createInvite':
      return createInvite(state, command, at)
    case 'revokeInvite':
      return revokeInvite(state, command.publicKey, at)
    case 'admit':
      return admit(state, command, at)
    case 'admitKey':
      return admitKey(state, command, at)
    case 'describe':
      return describe(state, command)
    default:
      return unreachable(command)
  }
}

/** Whether the invite lets anybody in at this log time. */
export function isOpen(invite: Invite, timeMs: number): boolean {
  return invite.closed === null && timeMs < invite.expiresMs
}

type Command<Kind extends TrustCommand['kind']> = Extract<TrustCommand, { kind: Kind }>

function found(state: TrustState, command: Command<'found'>, at: Stamp): TrustStep {
  if (state.epoch !== 0)
    return refuse(state, {
      code: 'ALREADY_INITIALIZED',
      message: 'the cluster has been founded already'
    })
  const { id, publicKey, name, version, addresses, sealedSecret } = command
  if (id < 1 || id >= MAX_NODE_ID)
    return refuse(state, { code: 'INVALID_REQUEST', message: `${id} is no id for a first node` })
  const self = { id, publicKey, name, version, addresses }
  const node: NodeRecord = {
    ...self,
    role: 'voter',
    epoch: 1,
    sealedSecret,
    invitePublicKey: null,
    admittedIndex: at.index
  }
  return {
    state: { ...state, epoch: 1, nextNodeId: id + 1, nodes: [node] },
    result: { kind: 'admitted', id, isNew: true }
  }
}

function createInvite(state: TrustState, command: Command<'createInvite'>, at: Stamp): TrustStep {
  const { publicKey, proofKey, topic, role, ttlMs, uses, createdBy } = command
  if (state.epoch === 0) return notFounded(state)
  if (ttlMs < 1 || uses < 1) {
    return refuse(state, {
      code: 'INVALID_REQUEST',
      message: 'an invite lives at least 1 ms and has at least one use'
    })
  }
  if (isNodeKey(state, publicKey)) return keyTaken(state)
  // the same command twice: the secret behind the key is random, so it is no other invite
  if (inviteOf(state, publicKey) !== undefined) return { state, result: { kind: 'inviteCreated' } }

  const invites = remembered(
    state.invites.map((invite) => closedIfExpired(invite, at)),
    at
  )
  if (invites.filter((invite) => invite.closed === null).length >= MAX_OPEN_INVITES) {
    const message = `${MAX_OPEN_INVITES} tickets are open; revoke one first`
    return refuse(state, { code: 'TOO_MANY_TICKETS', message, fields: { max: MAX_OPEN_INVITES } })
  }
  const invite: Invite = {
    publicKey,
    proofKey,
    topic,
    role,
    createdBy,
    createdIndex: at.index,
    createdMs: at.timeMs,
    expiresMs: at.timeMs + ttlMs,
    uses,
    usesLeft: uses,
    closed: null
  }
  return { state: { ...state, invites: [...invites, invite] }, result: { kind: 'inviteCreated' } }
}

/** Revoking twice, or what is closed for another reason, is done already. */
function revokeInvite(state: TrustState, publicKey: Uint8Array, at: Stamp): TrustStep {
  const invite = inviteOf(state, publicKey)
  if (invite === undefined)
    return refuse(state, { code: 'TICKET_NOT_FOUND', message: 'there is no such ticket' })
  const result: ApplyResult = { kind: 'inviteRevoked' }
  if (invite.closed !== null) return { state, result }
  return {
    state: withInvite(state, { ...invite, closed: { reason: 'revoked', atMs: at.timeMs } }, at),
    result
  }
}

/** The order of the checks is part of the format. */
function admit(state: TrustState, command: Command<'admit'>, at: Stamp): TrustStep {
  if (isRemoved(state, command.publicKey)) return removedKey(state)
  const invite = inviteOf(state, command.invitePublicKey)
  if (invite === undefined) {
    return refuse(state, {
      code: 'TICKET_UNKNOWN',
      message: 'this cluster has no such ticket, or has forgotten it'
    })
  }
  const known = state.nodes.find((node) => b4a.equals(node.publicKey, command.publicKey))
  if (known !== undefined && isSameKey(known.invitePublicKey, invite.publicKey)) {
    return { state, result: { kind: 'admitted', id: known.id, isNew: false } }
  }
  const refusal = refusalByInvite(state, invite, at)
  if (refusal !== null) return refusal
  if (command.epoch !== state.epoch) return epochMoved(state, command.epoch)
  if (known !== undefined)
    return { state, result: { kind: 'admitted', id: known.id, isNew: false } }
  // every other holder of that ticket would have the node's secret key
  if (inviteOf(state, command.publicKey) !== undefined) return keyTaken(state)
  return tooManyMembers(state) ?? admitNew(state, { command, invite, at })
}

/** The order of the checks is part of the format. */
function admitKey(state: TrustState, command: Command<'admitKey'>, at: Stamp): TrustStep {
  const { publicKey, name, addresses, role, expectedId, epoch, sealedSecret } = command
  if (state.epoch === 0) return notFounded(state)
  if (isRemoved(state, publicKey)) return removedKey(state)
  const known = state.nodes.find((node) => b4a.equals(node.publicKey, publicKey))
  const id = known?.id ?? state.nextNodeId
  if (known !== undefined && (expectedId === null || expectedId === id))
    return { state, result: { kind: 'admitted', id, isNew: false } }
  if (known !== undefined) return otherId(state, id, `the node with this key is ${id}`)
  if (inviteOf(state, publicKey) !== undefined) return keyTaken(state)
  if (epoch !== state.epoch) return epochMoved(state, epoch)
  const refusal = tooManyMembers(state)
  if (refusal !== null) return refusal
  if (expectedId !== null && expectedId !== id)
    return otherId(state, id, `the id of the next node is ${id}; the cluster gives ids in order`)
  const said = { id, publicKey, name, version: '', addresses, role }
  const given = { epoch, sealedSecret, invitePublicKey: null, admittedIndex: at.index }
  return {
    state: { ...state, nextNodeId: id + 1, nodes: [...state.nodes, { ...said, ...given }] },
    result: { kind: 'admitted', id, isNew: true }
  }
}

/** What the invite itself says against letting anybody in. */
function refusalByInvite(state: TrustState, invite: Invite, at: Stamp): TrustStep | null {
  const closed = closedIfExpired(invite, at)
  if (closed.closed === null) return null
  switch (closed.closed.reason) {
    case 'revoked':
      return refuse(state, {
        code: 'TICKET_REVOKED',
        message: 'the ticket was revoked; ask for a new one'
      })
    case 'expired': {
      const noticed = closed === invite ? state : withInvite(state, closed, at)
      return refuse(noticed, {
        code: 'TICKET_EXPIRED',
        message: 'the ticket has expired; ask for a new one'
      })
    }
    case 'usedUp':
      return refuse(state, {
        code: 'TICKET_USED_UP',
        message: `the ticket's ${invite.uses} uses are used up; ask for a new one`
      })
    default:
      return unreachable(closed.closed.reason)
  }
}

interface Admission {
  readonly command: Command<'admit'>
  readonly invite: Invite
  readonly at: Stamp
}

function admitNew(state: TrustState, admission: Admission): TrustStep {
  const { command, invite, at } = admission
  const { publicKey, name, version, addresses, epoch, sealedSecret } = command
  assert(invite.usesLeft > 0, 'an open invite has a use left')
  const id = state.nextNodeId
  const usesLeft = invite.usesLeft - 1
  const node: NodeRecord = {
    id,
    publicKey,
    name,
    version,
    addresses,
    role: invite.role,
    epoch,
    sealedSecret,
    invitePublicKey: invite.publicKey,
    admittedIndex: at.index
  }
  const closed = usesLeft === 0 ? ({ reason: 'usedUp', atMs: at.timeMs } as const) : null
  const next = withInvite(state, { ...invite, usesLeft, closed }, at)
  return {
    state: { ...next, nextNodeId: id + 1, nodes: [...state.nodes, node] },
    result: { kind: 'admitted', id, isNew: true }
  }
}

function describe(state: TrustState, command: Command<'describe'>): TrustStep {
  const { id, name, version, addresses } = command
  if (!state.nodes.some((node) => node.id === id)) {
    return refuse(state, {
      code: 'MEMBER_NOT_FOUND',
      message: `there is no node ${id}`,
      fields: { id }
    })
  }
  const nodes = state.nodes.map((node) =>
    node.id === id ? { ...node, name, version, addresses } : node
  )
  return { state: { ...state, nodes }, result: { kind: 'described' } }
}

function inviteOf(state: TrustState, publicKey: Uint8Array): Invite | undefined {
  return state.invites.find((invite) => b4a.equals(invite.publicKey, publicKey))
}

function isSameKey(a: Uint8Array | null, b: Uint8Array): boolean {
  return a !== null && b4a.equals(a, b)
}

/** Expired invites are closed when somebody notices, as of the moment at which they expired. */
function closedIfExpired(invite: Invite, at: Stamp): Invite {
  if (invite.closed !== null || isOpen(invite, at.timeMs)) return invite
  return { ...invite, closed: { reason: 'expired', atMs: invite.expiresMs } }
}

function withInvite(state: TrustState, changed: Invite, at: Stamp): TrustState {
  const invites = state.invites.map((invite) =>
    invite.createdIndex === changed.createdIndex ? changed : invite
  )
  return { ...state, invites: remembered(invites, at) }
}

/** Nobody comes in any more by what was made until now. */
export function withAllClosed(invites: readonly Invite[], at: Stamp): readonly Invite[] {
  const closed = invites.map((invite): Invite => {
    const noticed = closedIfExpired(invite, at)
    if (noticed.closed !== null) return noticed
    return { ...invite, closed: { reason: 'revoked', atMs: at.timeMs } }
  })
  return remembered(closed, at)
}

/** Forgets closed invites that are too old, then those closed first, until they are few enough. */
function remembered(invites: readonly Invite[], at: Stamp): readonly Invite[] {
  const closed = invites.filter((invite) => invite.closed !== null).toSorted(byClosing)
  const tooMany = new Set(closed.slice(0, Math.max(0, closed.length - MAX_CLOSED_INVITES)))
  const kept = invites.filter((invite) => !tooMany.has(invite) && !isForgotten(invite, at))
  return kept.length === invites.length ? invites : kept
}

function byClosing(a: Invite, b: Invite): number {
  return (a.closed?.atMs ?? 0) - (b.closed?.atMs ?? 0) || a.createdIndex - b.createdIndex
}

function isForgotten(invite: Invite, at: Stamp): boolean {
  return invite.closed !== null && at.timeMs - invite.closed.atMs > MAX_CLOSED_INVITE_AGE_MS
}

function isRemoved(state: TrustState, publicKey: Uint8Array): boolean {
  return state.removed.some((each) => b4a.equals(each.publicKey, publicKey))
}

/** Of a node that is one, or was. */
function isNodeKey(state: TrustState, publicKey: Uint8Array): boolean {
  const isNode = state.nodes.some((node) => b4a.equals(node.publicKey, publicKey))
  return isNode || isRemoved(state, publicKey)
}

function notFounded(state: TrustState): TrustStep {
  const message = 'the cluster has not been founded yet'
  return refuse(state, { code: 'NOT_INITIALIZED', message })
}

function removedKey(state: TrustState): TrustStep {
  return refuse(state, {
    code: 'MEMBER_REMOVED',
    message: 'the node with this key was removed from the cluster, which is final for the key',
    hint: REJOIN_HINT
  })
}

function epochMoved(state: TrustState, epoch: number): TrustStep {
  const message = `the cluster's secret was changed meanwhile (epoch ${state.epoch}, not ${epoch}); try again`
  return refuse(state, { code: 'CHANGE_IN_PROGRESS', message, fields: { epoch: state.epoch } })
}

function otherId(state: TrustState, id: NodeId, message: string): TrustStep {
  return refuse(state, { code: 'INVALID_REQUEST', message, fields: { id } })
}

function tooManyMembers(state: TrustState): TrustStep | null {
  const { nodes, nextNodeId } = state
  if (nodes.length < MAX_MEMBERS && nextNodeId < MAX_NODE_ID) return null
  const message = `the cluster has ${nodes.length} members; at most ${MAX_MEMBERS} are allowed`
  return refuse(state, { code: 'TOO_MANY_MEMBERS', message, fields: { max: MAX_MEMBERS } })
}

/** A key is a ticket's or a node's: what a connection with it may do must not depend on the order of events. */
function keyTaken(state: TrustState): TrustStep {
  return refuse(state, {
    code: 'INVALID_REQUEST',
    message: 'a ticket and a node cannot have the same key'
  })
}

/** The state stays, except that an expired invite may have been closed. */
function refuse(state: TrustState, error: ErrorDetail): TrustStep {
  return { state, result: { kind: 'refused', error } }
}
