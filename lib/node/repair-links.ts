// The links of a node that puts its storage together again: over them it asks, and says what others may ask of
// it that it has, and nothing more.
//
// Whom to trust it knows from its state machine, or, where that is lost, from what it was told when it joined; the
// founder, who joined nowhere, asks a member.

import { systemClock, systemTimers } from '../clock.ts'
import { memberTopic, wantedPeers } from '../cluster/peers.ts'
import { ClusterTrust } from '../cluster/trust.ts'
import { decode, encode } from '../encoding.ts'
import type { AspenError } from '../errors.ts'
import { ProtocolError } from '../errors.ts'
import type { LmdbDamagedLog } from '../log-store/lmdb-damaged-log.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration } from '../raft/configuration.ts'
import type { Status } from '../raft/effects.ts'
import { systemRandom } from '../random.ts'
import type { SnapshotAnswer } from '../replica/encoding.ts'
import { snapshotAnswer, snapshotRequest } from '../replica/encoding.ts'
import type { Ask } from '../replica/snapshot-ask.ts'
import { askOver } from '../replica/snapshot-ask.ts'
import type { TrustState } from '../state-machine/state-machine.ts'
import { Links } from '../transport/links.ts'
import type { Welcome } from '../transport/transport.ts'
import { VERSION } from '../version.ts'
import { AddressBook } from './address-book.ts'
import type { EventLog } from './assembly-parts.ts'
import { endOfRefused } from './fenced.ts'
import type { Premises } from './opening.ts'

export interface RepairLinksParts {
  readonly premises: Premises
  readonly log: LmdbDamagedLog
  readonly configuration: Configuration
  /** what is left of it */
  readonly trustState: TrustState
  readonly events: EventLog
  /** a member refuses this node for good, or the own disk fails */
  readonly onFailed: (error: AspenError) => void
}

export class RepairLinks {
  readonly #parts: RepairLinksParts
  readonly #trust: ClusterTrust
  readonly #links: Links
  readonly ask: Ask
  #welcome: Welcome | null

  constructor(parts: RepairLinksParts) {
    this.#parts = parts
    this.#welcome = parts.premises.membership.welcome
    this.#trust = this.#makeTrust()
    this.#links = this.#makeLinks()
    this.ask = askOver((to, payload, onAnswer) =>
      this.#links.requestSnapshot(to, payload, onAnswer)
    )
  }

  /** Members with a link. */
  members(): readonly NodeId[] {
    return this.#links.links().map((link) => link.id)
  }

  async open(): Promise<void> {
    await this.#links.open()
    this.#connect()
  }

  async close(): Promise<void> {
    await this.#links.close()
  }

  #makeTrust(): ClusterTrust {
    const { premises, log, trustState } = this.#parts
    const { membership, keyPair, instance } = premises
    const { boot, storageEpoch } = log
    const welcomeOf = (): Welcome | null => this.#welcome
    return new ClusterTrust({
      clusterId: membership.clusterId,
      keyPair,
      id: membership.id,
      boot,
      instance,
      storageEpoch,
      version: VERSION,
      get welcome() {
        return welcomeOf()
      },
      trustState: () => trustState,
      status: () => this.#status(),
      isInTouch: () => false,
      // nothing that others say is believed here without its hash
      guard: { refusalOf: () => null, onVerified: () => {} }
    })
  }

  /** Of a node that does nothing: what is on its disk. */
  #status(): Status {
    const { log, configuration } = this.#parts
    const { last, hardState } = log
    const term = hardState?.term ?? 0
    return {
      role: 'follower',
      term,
      leader: null,
      commitIndex: hardState?.commitIndex ?? 0,
      lastIndex: last.index,
      lastTerm: last.term,
      durableIndex: last.index,
      onDisk: { term, lastIndex: last.index },
      configuration,
      configurationIndex: 0,
      transferTarget: null,
      logTimeMs: 0,
      leaderHeardMs: null,
      wrongClocks: [],
      progress: new Map()
    }
  }

  #makeLinks(): Links {
    const { premises, events, onFailed } = this.#parts
    const { network, keyPair } = premises
    return new Links({
      network,
      keyPair,
      random: systemRandom,
      ...SYSTEM,
      trust: this.#trust,
      traffic: null,
      handlers: {
        onMessage: () => {},
        onRequest: () => {},
        onSnapshotRequest: (_from, payload, answer) =>
          answer(encode(snapshotAnswer, this.#answer(payload))),
        onLinkUp: () => {},
        onLinkDown: () => {},
        onJoin: (_request, answer) => answer({ kind: 'busy' }),
        onWelcome: (welcome) => {
          this.#welcome ??= welcome
          this.#connect()
        },
        onRefused: (_by, error) => {
          events.warn({ event: 'link.refused', code: error.code }, error.message)
          const end = endOfRefused(error, premises.membership.clusterId)
          if (end !== null) onFailed(end)
        }
      }
    })
  }

  /** Entries that are whole here; of nothing else it is certain. */
  #answer(payload: Uint8Array): SnapshotAnswer {
    try {
      const request = decode(snapshotRequest, payload)
      if (request.kind !== 'entry') return { kind: 'notHere' }
      const found = this.#parts.log.entryWith(request.index, request.hash)
      if (found === null) return { kind: 'notHere' }
      const { term, kind, timeMs, payload: bytes } = found.entry
      const { previousHash } = found
      return { kind: 'entry', entry: { previousHash, term, kind, timeMs, payload: bytes } }
    } catch (error) {
      if (error instanceof ProtocolError) return { kind: 'notHere' }
      throw error
    }
  }

  #connect(): void {
    const { premises, trustState } = this.#parts
    const { membership, directory } = premises
    const { addresses: savedAddresses } = new AddressBook(directory)
    const configuration = this.#trust.configuration()
    const selfId = membership.id
    this.#links.setPeers(wantedPeers({ selfId, configuration, trustState, savedAddresses }))
    const secret = this.#trust.epochSecret(this.#trust.epoch())
    this.#links.setTopics(secret === null ? [] : [memberTopic(secret, membership.clusterId)])
  }
}

const SYSTEM = { clock: systemClock, timers: systemTimers }
