// A few members of one cluster over any network: real links, a trust that is a table, and a record of
// everything that was told upward.

import { systemClock, systemTimers } from '../../lib/clock.ts'
import type { Clock, Timers } from '../../lib/clock.ts'
import type { KeyPair } from '../../lib/crypto.ts'
import { hash, keyPairFromSeed, openSealed, seal } from '../../lib/crypto.ts'
import { bytesOf, hexOf } from '../../lib/encoding.ts'
import type { ErrorDetail } from '../../lib/errors.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { Configuration } from '../../lib/raft/configuration.ts'
import type { Message } from '../../lib/raft/message.ts'
import { SeededRandom } from '../../lib/random.ts'
import { Links } from '../../lib/transport/links.ts'
import type { Network } from '../../lib/transport/network.ts'
import type {
  JoinAnswer,
  OwnHello,
  Peer,
  Standing,
  TransportHandlers,
  Trust,
  VerifiedJoinRequest,
  Welcome
} from '../../lib/transport/transport.ts'

export const CLUSTER_ID = new Uint8Array(16).fill(7)

export function keyPairOf(name: string): KeyPair {
  return keyPairFromSeed(hash(bytesOf(name)))
}

/** The secret of an epoch. */
export function secretOf(epoch: number): Uint8Array {
  return hash(bytesOf(`epoch ${epoch}`))
}

export class TableTrust implements Trust {
  clusterId = CLUSTER_ID
  own: OwnHello | null
  readonly standings = new Map<string, Standing>()
  readonly secrets = new Map<number, Uint8Array>()
  fallback: Standing = { kind: 'stranger' }
  welcomes = new Map<string, Welcome>()

  constructor(own: OwnHello | null) {
    this.own = own
    if (own !== null) this.secrets.set(own.epoch, secretOf(own.epoch))
  }

  hello(): OwnHello | null {
    return this.own
  }

  epochSecret(epoch: number): Uint8Array | null {
    return this.secrets.get(epoch) ?? null
  }

  standing(publicKey: Uint8Array): Standing {
    return this.standings.get(hexOf(publicKey)) ?? this.fallback
  }

  welcomeFor(publicKey: Uint8Array): Welcome | null {
    return this.welcomes.get(hexOf(publicKey)) ?? null
  }

  /** what is said to a process with that hello */
  refuse: (hello: OwnHello) => ErrorDetail | null = () => null
  readonly verified: OwnHello[] = []

  refusalOf(_publicKey: Uint8Array, hello: OwnHello): ErrorDetail | null {
    return this.refuse(hello)
  }

  onVerified(_publicKey: Uint8Array, hello: OwnHello): void {
    this.verified.push(hello)
  }

  setStanding(publicKey: Uint8Array, standing: Standing): void {
    this.standings.set(hexOf(publicKey), standing)
  }
}

export function helloOf(id: NodeId, fields: Partial<OwnHello> = {}): OwnHello {
  return {
    id,
    boot: 1,
    instance: hash(bytesOf(`instance ${id} ${Math.random()}`)).subarray(0, 16),
    storageEpoch: hash(bytesOf(`log ${id}`)).subarray(0, 16),
    featureLevel: 1,
    epoch: 1,
    durableTerm: 3,
    lastIndex: 12,
    version: '0.1.0',
    ...fields
  }
}

/** What was told upward, in order. */
export class Recorder implements TransportHandlers {
  readonly events: string[] = []
  readonly messages: { from: NodeId; message: Message }[] = []
  readonly joins: VerifiedJoinRequest[] = []
  readonly welcomes: Welcome[] = []
  readonly refusals: ErrorDetail[] = []
  answer: (payload: Uint8Array) => Uint8Array | null = (payload) => payload
  snapshotAnswer: (payload: Uint8Array) => Uint8Array | null = (payload) => payload
  join: (request: VerifiedJoinRequest) => JoinAnswer | null = () => ({ kind: 'busy' })
  welcome: (welcome: Welcome) => void = () => {}
  hook: (event: string) => void = () => {}

  #note(event: string): void {
    this.events.push(event)
    this.hook(event)
  }

  onMessage(from: NodeId, message: Message): void {
    this.messages.push({ from, message })
    this.#note(`message ${message.kind} from ${from}`)
  }

  onRequest(from: NodeId, payload: Uint8Array, answer: (payload: Uint8Array) => void): void {
    this.#note(`request from ${from}`)
    const reply = this.answer(payload)
    if (reply !== null) answer(reply)
  }

  onSnapshotRequest(
    from: NodeId,
    payload: Uint8Array,
    answer: (payload: Uint8Array) => void
  ): void {
    this.#note(`snapshot request from ${from}`)
    const reply = this.snapshotAnswer(payload)
    if (reply !== null) answer(reply)
  }

  onLinkUp(id: NodeId): void {
    this.#note(`up ${id}`)
  }

  onLinkDown(id: NodeId): void {
    this.#note(`down ${id}`)
  }

  onJoin(request: VerifiedJoinRequest, answer: (answer: JoinAnswer) => void): void {
    this.joins.push(request)
    this.#note('join')
    const reply = this.join(request)
    if (reply !== null) answer(reply)
  }

  onWelcome(welcome: Welcome): void {
    this.welcomes.push(welcome)
    this.#note(`welcome ${welcome.id}`)
    this.welcome(welcome)
  }

  onRefused(_by: Uint8Array, error: ErrorDetail): void {
    this.refusals.push(error)
    this.#note(`refused ${error.code}`)
  }
}

export interface Node {
  readonly name: string
  readonly id: NodeId
  readonly keyPair: KeyPair
  readonly network: Network
  readonly trust: TableTrust
  readonly recorder: Recorder
  readonly links: Links
}

export interface NodeParts {
  readonly name: string
  readonly id: NodeId
  readonly network: Network
  readonly own?: OwnHello | null
  readonly clock?: Clock
  readonly timers?: Timers
}

export function makeNode(parts: NodeParts): Node {
  const keyPair = keyPairOf(parts.name)
  const trust = new TableTrust(parts.own === undefined ? helloOf(parts.id) : parts.own)
  const recorder = new Recorder()
  const links = new Links({
    traffic: null,
    network: parts.network,
    keyPair,
    clock: parts.clock ?? systemClock,
    timers: parts.timers ?? systemTimers,
    random: new SeededRandom(parts.id),
    trust,
    handlers: recorder
  })
  return { name: parts.name, id: parts.id, keyPair, network: parts.network, trust, recorder, links }
}

/** Makes nodes know each other as members; `addressed` says who is known by address. */
export function introduce(nodes: readonly Node[]): void {
  for (const node of nodes) {
    for (const other of nodes) {
      node.trust.setStanding(other.keyPair.publicKey, { kind: 'member', id: other.id })
    }
  }
}

export function peersOf(nodes: readonly Node[]): Peer[] {
  return nodes.map((node) => ({
    id: node.id,
    publicKey: node.keyPair.publicKey,
    addresses: node.network.addresses().map((address) => ({ ...address, host: '127.0.0.1' }))
  }))
}

export function welcomeOf(id: NodeId, publicKey: Uint8Array, epoch = 1): Welcome {
  const configuration: Configuration = {
    members: [{ id, publicKey, role: 'voter', addresses: [] }],
    outgoing: []
  }
  const sealedSecret = seal(secretOf(epoch), publicKey, new SeededRandom(id))
  return { id, epoch, sealedSecret, configuration }
}

export function opensSealed(welcome: Welcome, keyPair: KeyPair): boolean {
  return openSealed(welcome.sealedSecret, keyPair) !== null
}

/** Waits until `condition` holds, on the real clock. */
export async function until(
  what: string,
  condition: () => boolean,
  limitMs = 10_000
): Promise<number> {
  const startMs = systemClock.nowMs()
  while (!condition()) {
    if (systemClock.nowMs() - startMs > limitMs)
      throw new Error(`not within ${limitMs} ms: ${what}`)
    await pause(2)
  }
  return systemClock.nowMs() - startMs
}

/** Unlike the program's, this timer keeps the process alive. */
export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs)
  })
}
