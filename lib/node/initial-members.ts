// The members that a cluster is founded with: checked before anything is done, then added to the founder.
// The founder is node 1, the others get their ids in the order that the request has, and all of them become
// voters in one change.

import { parseAddress } from '../address.ts'
import type { Clock, Timers } from '../clock.ts'
import { sleep } from '../clock.ts'
import { sealedTo } from '../cluster/admission.ts'
import { PUBLIC_KEY_BYTES } from '../crypto.ts'
import { bytesFromHex } from '../encoding.ts'
import type { AspenError } from '../errors.ts'
import { asAspenError, ControlPlaneError } from '../errors.ts'
import { MAX_MEMBER_ADDRESSES, MAX_VOTERS } from '../limits.ts'
import { systemRandom } from '../random.ts'
import type { ClusterController, NodeSpec } from '../service/cluster-controller.ts'
import type { ClusterState } from '../service/documents.ts'
import { FOUNDER_ID } from './founding.ts'
import { nameProblem } from '../config/places.ts'

/** The others, in the order of the ids that they get; nothing has happened. @throws ControlPlaneError INVALID_REQUEST */
export function othersOf(members: readonly NodeSpec[], ownKey: string): readonly NodeSpec[] {
  if (members.length === 0) throw invalid('initial_members must not be empty')
  if (members.length > MAX_VOTERS) {
    throw invalid(`a cluster has at most ${MAX_VOTERS} voters, not ${members.length}`)
  }
  for (const spec of members) checkKey(spec)
  const keys = members.map(({ key }) => key.toLowerCase())
  if (new Set(keys).size < keys.length) throw invalid('initial_members has a key twice')
  const own = members.find(({ key }) => key.toLowerCase() === ownKey)
  if (own === undefined) {
    throw invalid(`initial_members must contain this node, whose key is ${ownKey}`)
  }
  if ((own.id ?? FOUNDER_ID) !== FOUNDER_ID) {
    throw invalid(`the node that founds a cluster is node ${FOUNDER_ID} of it, not ${own.id}`)
  }
  // where this node is it knows itself, and it has its name already
  const others = members.filter((spec) => spec !== own)
  for (const spec of others) checkPlace(spec)
  return inOrder(others)
}

/** Those without an id take what the others leave. */
function inOrder(others: readonly NodeSpec[]): readonly NodeSpec[] {
  const places = others.map((_spec, at) => FOUNDER_ID + 1 + at)
  const taken = others.flatMap(({ id }) => id ?? [])
  const isFree = (place: number): boolean => !taken.includes(place)
  if (new Set(taken).size < taken.length || taken.some((id) => !places.includes(id))) {
    const last = FOUNDER_ID + others.length
    throw invalid(`the ids of ${others.length + 1} initial members are 1 to ${last}, each once`)
  }
  const free = places.filter(isFree)
  const placed = others.map((spec) => ({ spec, id: spec.id ?? free.shift() ?? 0 }))
  return placed.toSorted((a, b) => a.id - b.id).map(({ spec }) => spec)
}

function checkKey({ key }: NodeSpec): void {
  const publicKey = bytesFromHex(key.toLowerCase(), PUBLIC_KEY_BYTES)
  // as its admission would find out, after the founding
  if (publicKey === null || sealedTo(publicKey, new Uint8Array(0), systemRandom) === null) {
    throw invalid(`'${key}' is no key of a node: 64 hex digits that a key pair belongs to`)
  }
}

function checkPlace({ addresses = [], name }: NodeSpec): void {
  if (addresses.length > MAX_MEMBER_ADDRESSES) {
    throw invalid(`a node has at most ${MAX_MEMBER_ADDRESSES} addresses here`)
  }
  const wrong = addresses.find((text) => parseAddress(text) === null)
  if (wrong !== undefined) throw invalid(`'${wrong}' is no IPv4 address and port`)
  const problem = name === undefined ? null : nameProblem(name)
  if (problem !== null) throw invalid(`'${name}' is no name: ${problem}`)
}

export interface AddingParts {
  /** of the founder, which leads */
  readonly cluster: ClusterController
  readonly others: readonly NodeSpec[]
  readonly clock: Clock
  readonly timers: Timers
  /** on the clock's monotonic time */
  readonly deadlineMs: number
}

/**
 * Admits the others, waits until they are there, and makes all of them voters.
 * @throws ControlPlaneError TIMEOUT, FAILED with what is missing: the cluster works all the same
 */
export async function addInitialMembers(parts: AddingParts): Promise<ClusterState> {
  const { cluster, others, clock, deadlineMs } = parts
  if (others.length === 0) return await foundedAlone(cluster)
  const leftMs = (): number => Math.max(1, deadlineMs - clock.nowMs())
  const additions: Addition[] = []
  for (const spec of others) additions.push(await begin(parts, spec, leftMs()))
  const failures = await Promise.all(additions.map(({ end }) => end))
  const failed = others.filter((_spec, at) => failures[at] !== null)
  const [cause] = failures.filter((failure) => failure !== null)
  if (cause !== undefined) throw notAdded(failed, cause)
  try {
    const keys = new Set(others.map(({ key }) => key.toLowerCase()))
    const { nodes } = await cluster.currentState({ timeoutMs: leftMs() })
    const ids = nodes.filter(({ id, key }) => id === FOUNDER_ID || keys.has(key))
    const members = ids.map(({ id }) => id)
    return await cluster.changeMembership({ members }, { timeoutMs: leftMs() })
  } catch (error) {
    throw notVoters(asAspenError(error))
  }
}

async function foundedAlone(cluster: ClusterController): Promise<ClusterState> {
  try {
    return await cluster.currentState()
  } catch (error) {
    const cause = asAspenError(error)
    const message = `the cluster is founded, and does not say how it is: ${cause.message}`
    throw incomplete(message, cause, 'GET /cluster/state tells')
  }
}

/** How an addition ended that goes on: null for well. */
interface Addition {
  readonly end: Promise<AspenError | null>
}

/** Returns when the node is a member, caught up or not, so that the next one gets the next id; or when it is refused. */
async function begin(parts: AddingParts, spec: NodeSpec, timeoutMs: number): Promise<Addition> {
  const { cluster, clock, timers, deadlineMs } = parts
  const key = spec.key.toLowerCase()
  const progress = { isSettled: false }
  const added = cluster.addLearner({ learner: { ...spec, key } }, { timeoutMs }).then(
    () => null,
    (error: unknown) => asAspenError(error)
  )
  const end = added.finally(() => {
    progress.isSettled = true
  })
  while (!progress.isSettled && clock.nowMs() < deadlineMs) {
    const { nodes } = await cluster.currentState({ consistency: 'stale' })
    if (nodes.some((node) => node.key === key)) break
    await sleep(timers, LOOK_MS)
  }
  return { end }
}

/** Between two looks at who is a member. */
const LOOK_MS = 5

function notAdded(missing: readonly NodeSpec[], cause: AspenError): ControlPlaneError {
  const keys = missing.map(({ key }) => `${key.slice(0, SHORT_KEY_DIGITS)}…`).join(', ')
  return incomplete(
    `the cluster is founded, and not all of its members are there: ${keys} (${cause.message})`,
    cause,
    "start what is missing with this node as its peer; 'aspen members add' with its key goes on with each, 'aspen members promote' makes voters"
  )
}

function notVoters(cause: AspenError): ControlPlaneError {
  return incomplete(
    `the cluster is founded and its members are there, but they are not all voters: ${cause.message}`,
    cause,
    'POST /cluster/change-membership with all ids makes them voters'
  )
}

/** Neither refused nor done: a part of it has happened. */
function incomplete(message: string, cause: AspenError, hint: string): ControlPlaneError {
  const code = cause.code === 'TIMEOUT' ? 'TIMEOUT' : 'FAILED'
  return new ControlPlaneError({ code, message, hint, fields: { cause: cause.code } }, { cause })
}

const SHORT_KEY_DIGITS = 8

function invalid(message: string): ControlPlaneError {
  return new ControlPlaneError({
    code: 'INVALID_REQUEST',
    message,
    hint: 'GET /node-info on each node tells its key and its addresses'
  })
}
