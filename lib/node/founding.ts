// How a cluster begins on its first node: a log with one configuration entry, and, once the node
// leads, the entry that names it and makes the first epoch. Each step may have been done by an
// earlier attempt that was interrupted.

import type { Address } from '../address.ts'
import type { Clock, Timers } from '../clock.ts'
import { until } from '../clock.ts'
import type { KeyPair } from '../crypto.ts'
import { seal } from '../crypto.ts'
import { ControlPlaneError } from '../errors.ts'
import { DEFAULT_REQUEST_TIMEOUT_MS } from '../limits.ts'
import type { LogStore, OpenedLog, RestoredLog } from '../log-store/log-store.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration, Member } from '../raft/configuration.ts'
import { foundingEntries, foundingHardState } from '../raft/founding.ts'
import type { Random } from '../random.ts'
import { randomBytes } from '../random.ts'
import type { Assembly } from './assembly.ts'

/** The id of a cluster's first node. */
export const FOUNDER_ID: NodeId = 1
export const CLUSTER_ID_BYTES = 16

export interface Founder {
  readonly clusterId: Uint8Array
  readonly keyPair: KeyPair
  readonly addresses: readonly Address[]
}

const EPOCH_SECRET_BYTES = 32

/** Writes the first entry, if it is not there yet; what the core is then restored from. */
export async function foundLog(
  { store, restored }: OpenedLog<LogStore>,
  { clusterId, keyPair, addresses }: Founder,
  wallMs: number
): Promise<RestoredLog> {
  if (store.last.index > 0) return restored
  const { publicKey } = keyPair
  const member: Member = { id: FOUNDER_ID, publicKey, role: 'voter', addresses }
  const configuration: Configuration = { members: [member], outgoing: [] }
  const hardState = foundingHardState(member)
  const entries = foundingEntries(clusterId, member, wallMs)
  await new Promise<void>((resolve) => {
    store.write({ hardState, install: null, truncateFrom: null, entries }, resolve)
  })
  return { hardState, configurations: [{ index: 1, configuration }] }
}

export interface FoundingParts {
  readonly assembly: Assembly
  readonly keyPair: KeyPair
  readonly name: string
  readonly version: string
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
}

/** Resolves when the node leads its cluster of one and the first epoch is applied. @throws ControlPlaneError START_FAILED */
export async function awaitFounded(parts: FoundingParts): Promise<void> {
  const { assembly, keyPair, name, version, random, clock } = parts
  const deadlineMs = clock.nowMs() + DEFAULT_REQUEST_TIMEOUT_MS
  const isOver = (): boolean => assembly.isLeading() || assembly.isHalted
  await until(parts, isOver, { deadlineMs, everyMs: 1 })
  if (!assembly.isLeading()) throw notLeading()
  if (assembly.epoch > 0) return
  const { publicKey } = keyPair
  const sealedSecret = seal(randomBytes(random, EPOCH_SECRET_BYTES), publicKey, random)
  const { addresses } = assembly
  const result = await assembly.tickets.submit(
    { kind: 'found', id: FOUNDER_ID, publicKey, name, version, addresses, sealedSecret },
    DEFAULT_REQUEST_TIMEOUT_MS
  )
  if (result.kind === 'refused') throw new ControlPlaneError(result.error)
}

function notLeading(): ControlPlaneError {
  return new ControlPlaneError({
    code: 'START_FAILED',
    message: 'the new cluster did not elect its only node',
    hint: 'run aspen create again; aspen logs says more'
  })
}
