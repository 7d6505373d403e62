// A node whose log is damaged: before anything else of it runs, other members give back the entries that
// cannot be read (replica/log-repair.ts). Until then it has links, over which it asks, and nothing more: it
// votes for nobody and acknowledges nothing.
//
// It goes on until the log is whole. Members may be away; what nobody has for now is asked for again.

import { systemClock, systemTimers, until } from '../clock.ts'
import { memberTopic, wantedPeers } from '../cluster/peers.ts'
import { ClusterTrust } from '../cluster/trust.ts'
import { encode } from '../encoding.ts'
import type { AspenError } from '../errors.ts'
import { StorageError } from '../errors.ts'
import { LmdbDamagedLog } from '../log-store/lmdb-damaged-log.ts'
import type { Configuration } from '../raft/configuration.ts'
import { EMPTY_CONFIGURATION } from '../raft/configuration.ts'
import type { Status } from '../raft/effects.ts'
import { genesis } from '../raft/entry.ts'
import { systemRandom } from '../random.ts'
import { snapshotAnswer } from '../replica/encoding.ts'
import { LogRepair } from '../replica/log-repair.ts'
import type { RepairEnd } from '../replica/log-repair.ts'
import { askOver } from '../replica/snapshot-ask.ts'
import type { TrustState } from '../state-machine/state-machine.ts'
import { Links } from '../transport/links.ts'
import { VERSION } from '../version.ts'
import { AddressBook } from './address-book.ts'
import type { EventLog } from './assembly-parts.ts'
import { endOfRefused } from './fenced.ts'
import type { Premises } from './opening.ts'
import { openStateMachine } from './opening.ts'
import type { NodeOptions } from './options.ts'

/**
 * Resolves when the log is whole; `premises.network` is closed then. `damage` is what the plain start said.
 * @throws `damage` where nobody else could help; StorageError CORRUPTED when the log is lost for good, and
 * what the disk says
 */
export async function repairLog(
  options: NodeOptions,
  premises: Premises,
  damage: StorageError
): Promise<void> {
  const { membership, directory, ending } = premises
  const begin = genesis(membership.clusterId)
  const failures: AspenError[] = []
  const onFailed = (error: AspenError): void => {
    failures.push(error)
  }
  const log = await LmdbDamagedLog.open({
    directory: directory.logDir,
    genesis: begin,
    onFailed
  })
  try {
    const configuration = configurationOf(log, premises)
    const others = configuration.members.filter(({ id }) => id !== membership.id)
    if (log.damaged.length === 0 || others.length === 0) throw damage
    const count = log.damaged.length
    const fields = { event: 'storage.damaged', entries: count, err: damage }
    options.logger.warn(fields, 'the log is damaged: asking other members for what cannot be read')
    options.onProgress({ phase: 'open', text: `asking other members for ${count} damaged entries` })
    const failure = (): AspenError | null => failures[0] ?? ending.failure
    const hasFailed = (): boolean => failure() !== null
    await raisedBoot(log, hasFailed)
    const repairing = new Repairing({
      premises,
      log,
      configuration,
      events: options.logger,
      onFailed
    })
    const end = hasFailed() ? null : await repairing.run(hasFailed)
    const failed = failure()
    if (failed !== null) throw failed
    if (end?.kind === 'lost') throw lost(end.index, damage)
    options.logger.info({ event: 'storage.repaired', entries: count }, 'the log is whole again')
  } finally {
    await log.close()
  }
}

/** Before this process says anything to others; ends too when the disk fails, which then calls nothing back. */
async function raisedBoot(log: LmdbDamagedLog, hasFailed: () => boolean): Promise<void> {
  let isDone = false
  log.raiseBoot(() => {
    isDone = true
  })
  await until(SYSTEM, () => isDone || hasFailed(), { deadlineMs: Infinity, everyMs: LOOK_MS })
}

interface RepairingParts {
  readonly premises: Premises
  readonly log: LmdbDamagedLog
  readonly configuration: Configuration
  readonly events: EventLog
  /** a member refuses this node for good */
  readonly onFailed: (error: AspenError) => void
}

class Repairing {
  readonly #parts: RepairingParts
  readonly #premises: Premises
  readonly #log: LmdbDamagedLog

  constructor(parts: RepairingParts) {
    this.#parts = parts
    this.#premises = parts.premises
    this.#log = parts.log
  }

  /** Resolves when the repair has ended, or has to end: a disk has failed, or a member refuses this node for good. */
  async run(hasFailed: () => boolean): Promise<RepairEnd> {
    const trustState = await this.#trustState()
    const trust = this.#trust(trustState)
    const links = this.#links(trust)
    const ends: RepairEnd[] = []
    const repair = new LogRepair({
      timers: systemTimers,
      ask: askOver((to, payload, onAnswer) => links.requestSnapshot(to, payload, onAnswer)),
      members: () => links.links().map((link) => link.id),
      log: this.#log,
      onEnded: (end) => void ends.push(end)
    })
    try {
      await links.open()
      this.#connect(links, trust, trustState)
      repair.start()
      const isOver = (): boolean => ends.length > 0 || hasFailed()
      await until(SYSTEM, isOver, { deadlineMs: Infinity, everyMs: LOOK_MS })
      return ends[0] ?? { kind: 'whole' }
    } finally {
      repair.close()
      await links.close()
    }
  }

  /** Of the state machine as it is: for the keys of members and the secret of the epoch. */
  async #trustState(): Promise<TrustState> {
    const { stateBase, base } = this.#log
    const silent = { info: () => {}, warn: () => {} }
    const reporting = { onFailed: () => {}, onBoundary: undefined, events: silent }
    const machine = await openStateMachine(this.#premises, { stateBase, base }, reporting)
    const trustState = machine.trust()
    await machine.close()
    return trustState
  }

  #trust(trustState: TrustState): ClusterTrust {
    const { membership, keyPair, instance } = this.#premises
    const { boot, storageEpoch } = this.#log
    const status = this.#status()
    return new ClusterTrust({
      clusterId: membership.clusterId,
      keyPair,
      id: membership.id,
      boot,
      instance,
      storageEpoch,
      version: VERSION,
      welcome: membership.welcome,
      trustState: () => trustState,
      status: () => status,
      isInTouch: () => false,
      // nothing that others say is believed here without its hash
      guard: { refusalOf: () => null, onVerified: () => {} }
    })
  }

  /** Of a node that does nothing: what is on its disk. */
  #status(): Status {
    const { last, hardState } = this.#log
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
      configuration: this.#parts.configuration,
      configurationIndex: 0,
      transferTarget: null,
      wrongClocks: [],
      progress: new Map()
    }
  }

  #links(trust: ClusterTrust): Links {
    const { network, keyPair } = this.#premises
    const { events, onFailed } = this.#parts
    return new Links({
      network,
      keyPair,
      random: systemRandom,
      ...SYSTEM,
      trust,
      handlers: {
        onMessage: () => {},
        onRequest: () => {},
        // it asks, and gives nothing
        onSnapshotRequest: (_from, _payload, answer) =>
          answer(encode(snapshotAnswer, { kind: 'notHere' })),
        onLinkUp: () => {},
        onLinkDown: () => {},
        onJoin: (_request, answer) => answer({ kind: 'busy' }),
        onWelcome: () => {},
        onRefused: (_by, error) => {
          events.warn({ event: 'link.refused', code: error.code }, error.message)
          const end = endOfRefused(error)
          if (end !== null) onFailed(end)
        }
      }
    })
  }

  #connect(links: Links, trust: ClusterTrust, trustState: TrustState): void {
    const { membership, directory } = this.#premises
    const { addresses: savedAddresses } = new AddressBook(directory)
    const configuration = trust.configuration()
    const selfId = membership.id
    links.setPeers(wantedPeers({ selfId, configuration, trustState, savedAddresses }))
    const secret = trust.epochSecret(trust.epoch())
    links.setTopics(secret === null ? [] : [memberTopic(secret, membership.clusterId)])
  }
}

const SYSTEM = { clock: systemClock, timers: systemTimers }
const LOOK_MS = 20

/** The newest that can be read, or what the node was told when it joined. */
function configurationOf(log: LmdbDamagedLog, { membership }: Premises): Configuration {
  const newest = log.configurations.at(-1)?.configuration
  return newest ?? membership.welcome?.configuration ?? EMPTY_CONFIGURATION
}

function lost(index: number, cause: StorageError): StorageError {
  return new StorageError(
    {
      code: 'CORRUPTED',
      message: `the log is damaged: nobody can know what entry ${index} was`,
      hint: 'remove this member from another one and let the machine join again',
      fields: { index }
    },
    { cause }
  )
}
