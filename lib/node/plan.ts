// What the user wants against what the data directory holds: one place where they may contradict
// each other, before anything is opened or changed.

import { hostname } from 'node:os'
import type { Address } from '../address.ts'
import { equalSecret } from '../crypto.ts'
import { ConfigError, REJOIN_HINT } from '../errors.ts'
import { MAX_NAME_SIZE } from '../limits.ts'
import type { TimingProfile } from '../raft/timing.ts'
import type { Ticket } from '../../tickets/tickets.ts'
import { DEFAULT_TIMING } from '../config/schema.ts'
import type { DataDirectory } from './data-directory.ts'
import { joinTicketOf } from './join-ticket.ts'
import { nameProblem } from '../config/places.ts'
import type { Membership } from './membership.ts'
import { checkedTiming } from '../config/node-settings.ts'
import type { NodeSettings } from '../config/node-settings.ts'
import type { Intent, NodeOptions } from './options.ts'
import type { Peer } from './peers.ts'
import type { StorageSettings } from '../config/storage-settings.ts'
import { halfMade, whyUnfitToStart } from './unfit-states.ts'

export type Plan = {
  readonly name: string
  /** null for the public DHT */
  readonly bootstrap: readonly Address[] | null
  readonly timing: TimingProfile
  /** those that were given, now or before */
  readonly storage: Partial<StorageSettings>
  /** likewise */
  readonly settings: NodeSettings
} & (
  | { readonly kind: 'create' }
  | { readonly kind: 'join'; readonly ticket: Ticket }
  | { readonly kind: 'wait'; readonly peers: readonly Peer[] }
  /** a directory that has a membership, also a half-made `create` */
  | { readonly kind: 'run'; readonly membership: Membership }
)

/** What is to be done with a folder that holds this: any intent but the one that leaves it to the folder. */
export function intentFor(
  intent: Intent,
  membership: Membership | null
): Exclude<Intent, { readonly kind: 'open' }> {
  if (intent.kind !== 'open') return intent
  const { ticket, timeoutMs } = intent
  if (ticket !== null) return { kind: 'join', ticket, timeoutMs }
  const isThere = membership !== null && membership.state !== 'creating'
  return { kind: isThere ? 'start' : 'create' }
}

type Wanted = Pick<NodeOptions, 'intent' | 'name' | 'bootstrap' | 'timing' | 'storage' | 'settings'>

/** @throws ConfigError FENCED, STATE_DIVERGED, MEMBER_REMOVED, DATA_DIR_TAKEN, DATA_DIR_UNUSABLE, NO_CLUSTER_HERE, CONFIG_INVALID; TicketError */
export function planOf(
  options: Wanted,
  membership: Membership | null,
  directory: Pick<DataDirectory, 'path' | 'hasKey' | 'hasLog'>
): Plan {
  const { path: dataDir } = directory
  const intent = intentFor(options.intent, membership)
  const name = nameOf(options, membership)
  const timing = options.timing ?? membership?.timing ?? DEFAULT_TIMING
  const storage = { ...membership?.storage, ...options.storage }
  const settings = { ...membership?.settings, ...options.settings }
  checkedTiming(timing, settings)
  if (membership === null) {
    if (intent.kind === 'start') throw nothingHere(dataDir)
    const bootstrap = options.bootstrap
    if (intent.kind === 'create') {
      // of a join that was interrupted, or of a node whose node.json is lost
      if (directory.hasLog) throw logOfAnother(dataDir)
      return { kind: 'create', name, bootstrap, timing, storage, settings }
    }
    if (intent.kind === 'wait') {
      const { peers } = intent
      // a peer may still know what was begun here
      if (directory.hasLog && peers.length === 0) throw logOfAnother(dataDir)
      return { kind: 'wait', name, bootstrap, timing, storage, settings, peers }
    }
    const ticket = joinTicketOf(intent.ticket)
    const known = bootstrap ?? bootstrapOf(ticket)
    return { kind: 'join', name, bootstrap: known, timing, storage, settings, ticket }
  }
  const unfit = whyUnfitToStart(membership.state, dataDir)
  if (unfit !== null) throw new ConfigError(unfit)
  if (!directory.hasKey) throw keyLost(dataDir)
  if (intent.kind === 'create' && membership.state === 'member') throw taken(dataDir)
  if (intent.kind === 'start' && membership.state === 'creating')
    throw new ConfigError(halfMade(dataDir))
  if (intent.kind === 'join') refuseOtherCluster(joinTicketOf(intent.ticket), membership, dataDir)
  const bootstrap = options.bootstrap ?? membership.bootstrap
  return { kind: 'run', name, bootstrap, timing, storage, settings, membership }
}

function bootstrapOf(ticket: Ticket): readonly Address[] | null {
  return ticket.bootstrap.length === 0 ? null : ticket.bootstrap
}

function nameOf(options: Wanted, membership: Membership | null): string {
  const name = options.name ?? membership?.name ?? hostName()
  const problem = nameProblem(name)
  if (problem === null) return name
  throw new ConfigError({ code: 'CONFIG_INVALID', message: `'${name}' is no name: ${problem}` })
}

function hostName(): string {
  const name = hostname()
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, MAX_NAME_SIZE)
  return nameProblem(name) === null ? name : 'node'
}

function refuseOtherCluster(ticket: Ticket, membership: Membership, dataDir: string): void {
  const isSame = equalSecret(ticket.clusterId, membership.clusterId)
  if (isSame && membership.state === 'member') return
  throw new ConfigError({
    code: 'DATA_DIR_TAKEN',
    message: isSame
      ? `${dataDir} holds the beginning of this very cluster`
      : `${dataDir} belongs to a node of another cluster`,
    hint: isSame ? "'aspen create' finishes it" : 'name another folder with --name or --data-dir'
  })
}

function nothingHere(dataDir: string): ConfigError {
  return new ConfigError({
    code: 'NO_CLUSTER_HERE',
    message: `there is no node in ${dataDir}`,
    hint: "'aspen create' makes a cluster, 'aspen join <ticket>' joins one"
  })
}

function taken(dataDir: string): ConfigError {
  return new ConfigError({
    code: 'DATA_DIR_TAKEN',
    message: `a cluster exists here already (${dataDir})`,
    hint: "'aspen start' runs it; 'aspen ticket create' mints a ticket"
  })
}

/** Of a folder that holds a log, and not what it belongs to. */
export function logOfAnother(dataDir: string): ConfigError {
  return new ConfigError({
    code: 'DATA_DIR_TAKEN',
    message: `${dataDir} holds the log of a node, though not of which`,
    hint: "finish its 'aspen join', restore its node.json, or name another folder with --name or --data-dir"
  })
}

function keyLost(dataDir: string): ConfigError {
  return new ConfigError({
    code: 'DATA_DIR_UNUSABLE',
    message: `${dataDir} belongs to a node whose key (node.key) is lost`,
    hint: `restore it from where you kept it; else ${REJOIN_HINT}`
  })
}
