// A node whose storage is damaged as no start by itself makes good: before anything else of it runs, it is put
// together again. Until then the node votes for nobody and acknowledges nothing. Its promises are whole, or it
// would be a lost disk: term, vote and the name of the last entry are in the log's state, which every way here begins with.
//
//   1  damaged entries that a snapshot of its own stands for are not needed: the log begins after that
//   2  other members give back the others (replica/log-repair.ts)
//   3  what none of them has any more lies before a snapshot of theirs, which is fetched and begins the log
//      (replica/snapshot-search.ts); likewise where the state machine and all snapshots are lost
//
// It goes on until the log is whole. Members may be away; what nobody has for now is asked for again.

import { systemClock, systemTimers, until } from '../clock.ts'
import type { AspenError } from '../errors.ts'
import { REJOIN_HINT, StorageError } from '../errors.ts'
import { LmdbDamagedLog } from '../log-store/lmdb-damaged-log.ts'
import { isDamagedEntry, isLostBeginning } from '../log-store/restore.ts'
import type { Configuration } from '../raft/configuration.ts'
import { EMPTY_CONFIGURATION } from '../raft/configuration.ts'
import type { EntryId, Index } from '../raft/entry.ts'
import { genesis } from '../raft/entry.ts'
import { LogRepair } from '../replica/log-repair.ts'
import type { RepairEnd } from '../replica/log-repair.ts'
import { SnapshotSearch } from '../replica/snapshot-search.ts'
import { isLostState } from '../state-machine/restore-state.ts'
import type { PreparedSnapshot, TrustState } from '../state-machine/state-machine.ts'
import type { Premises } from './opening.ts'
import { openStateMachine } from './opening.ts'
import type { NodeOptions } from './options.ts'
import { socketPathOf } from '../config/places.ts'
import { RepairLinks } from './repair-links.ts'
import { RepairSnapshots } from './repair-snapshots.ts'

/**
 * Resolves when log and state can be opened; `premises.network` is closed then. `damage` is what the plain start
 * said: an entry is damaged, or the state is lost.
 * @throws `damage` where nobody else could help; StorageError CORRUPTED when the log is lost for good, and
 * what the disk says
 */
export async function repairLog(
  options: NodeOptions,
  premises: Premises,
  damage: StorageError
): Promise<void> {
  const { membership, directory, ending } = premises
  const failures: AspenError[] = []
  const onFailed = (error: AspenError): void => {
    failures.push(error)
  }
  const log = await LmdbDamagedLog.open({
    directory: directory.logDir,
    genesis: genesis(membership.clusterId),
    onFailed
  })
  // so that commands find the process meanwhile; there is no API yet
  const socket = socketPathOf(directory.path)
  directory.writeJson('runtime.json', { pid: process.pid, socket, http: '', is_repairing: true })
  ending.add(() => directory.removeRuntime())
  try {
    const failure = (): AspenError | null => failures[0] ?? ending.failure
    await new Repairing({ options, premises, damage, log, failure, onFailed }).run()
  } finally {
    await log.close()
  }
}

interface RepairingParts {
  readonly options: NodeOptions
  readonly premises: Premises
  readonly damage: StorageError
  readonly log: LmdbDamagedLog
  /** of the disk, or what a member says that refuses this node for good */
  readonly failure: () => AspenError | null
  readonly onFailed: (error: AspenError) => void
}

class Repairing {
  readonly #parts: RepairingParts
  readonly #log: LmdbDamagedLog
  readonly #snapshots: RepairSnapshots
  /** no start is possible without a snapshot */
  #needsSnapshot: boolean
  #saidMs = systemClock.nowMs()

  constructor(parts: RepairingParts) {
    const { premises, log, options, onFailed, damage } = parts
    this.#parts = parts
    this.#log = log
    this.#needsSnapshot = !isDamagedEntry(damage)
    this.#snapshots = new RepairSnapshots({ premises, log, events: options.logger, onFailed })
  }

  async run(): Promise<void> {
    const { options, damage } = this.#parts
    const { logger, onProgress } = options
    try {
      const lowest = this.#log.damaged[0]?.index ?? this.#log.base.index
      if (await this.#awaited(this.#snapshots.installOwn(lowest))) this.#needsSnapshot = false
      if (this.#isWhole) return
      const configuration = this.#configuration()
      const { id: selfId } = this.#parts.premises.membership
      if (!configuration.members.some(({ id }) => id !== selfId)) throw damage
      const count = this.#log.damaged.length
      const what = this.#needsSnapshot ? 'a snapshot' : `${count} damaged entries`
      logger.warn(
        { event: 'storage.damaged', entries: count, err: damage },
        `the ${this.#needsSnapshot ? 'state' : 'log'} is damaged: asking other members for what cannot be read`
      )
      onProgress({ phase: 'open', text: `asking other members for ${what}` })
      await this.#raisedBoot()
      await this.#withOthers(configuration)
      logger.info({ event: 'storage.repaired', entries: count }, 'the log is whole again')
    } finally {
      await this.#snapshots.close()
    }
  }

  get #isWhole(): boolean {
    return this.#log.damaged.length === 0 && !this.#needsSnapshot
  }

  /** Before this process says anything to others; ends too when the disk fails, which then calls nothing back. */
  async #raisedBoot(): Promise<void> {
    let isDone = false
    this.#log.raiseBoot(() => {
      isDone = true
    })
    await this.#until(() => isDone)
  }

  async #withOthers(configuration: Configuration): Promise<void> {
    const { premises, options, onFailed } = this.#parts
    const links = new RepairLinks({
      premises,
      log: this.#log,
      configuration,
      trustState: await this.#trustState(),
      events: options.logger,
      onFailed
    })
    try {
      await links.open()
      while (!this.#isWhole) await this.#round(links)
    } finally {
      await links.close()
    }
  }

  /** Until the entries are back, or a snapshot came that stands for those that nobody has. */
  async #round(links: RepairLinks): Promise<void> {
    const ends: RepairEnd[] = []
    const found: PreparedSnapshot[] = []
    const searches: SnapshotSearch<PreparedSnapshot>[] = []
    const beginSearch = (from: Index): void => {
      if (searches.length > 0) return
      searches.push(this.#search(links, from, (prepared) => found.push(prepared)))
    }
    const repair = new LogRepair({
      timers: systemTimers,
      ask: links.ask,
      members: () => links.members(),
      log: this.#log,
      onNobody: beginSearch,
      onEnded: (end) => void ends.push(end)
    })
    try {
      if (this.#needsSnapshot) beginSearch(Math.max(1, this.#log.base.index))
      else repair.start()
      await this.#until(() => {
        this.#maybeSay(links, repair, searches[0])
        return ends.length + found.length > 0
      })
    } finally {
      repair.close()
      searches[0]?.close()
    }
    await this.#log.settled()
    const [prepared] = found
    if (prepared !== undefined && (await this.#snapshots.install(prepared))) {
      this.#needsSnapshot = false
    }
    this.#throwFailure()
    if (prepared === undefined && ends[0]?.kind === 'lost')
      throw lost(ends[0].index, this.#parts.damage)
  }

  #search(
    links: RepairLinks,
    from: Index,
    onPrepared: (prepared: PreparedSnapshot) => void
  ): SnapshotSearch<PreparedSnapshot> {
    const search = new SnapshotSearch<PreparedSnapshot>({
      ...SYSTEM,
      ask: links.ask,
      members: () => links.members(),
      receive: this.#snapshots.receive,
      from,
      onPrepared
    })
    search.start()
    return search
  }

  /** Once a minute, what is waited for. */
  #maybeSay(
    links: RepairLinks,
    { question }: LogRepair,
    search: SnapshotSearch<PreparedSnapshot> | undefined
  ): void {
    const nowMs = systemClock.nowMs()
    if (nowMs - this.#saidMs < SAY_MS) return
    this.#saidMs = nowMs
    const fields = {
      event: 'storage.repairing',
      entries: this.#log.damaged.length,
      index: question?.index ?? null,
      asked: question?.asked ?? [],
      links: links.members(),
      snapshot: search?.fetching?.index ?? null
    }
    const what = question === null ? 'a snapshot' : `entry ${question.index}`
    const text = `still waiting for ${what}, which no member in reach has given yet`
    this.#parts.options.logger.warn(fields, text)
    this.#parts.options.onProgress({ phase: 'open', text })
  }

  /** Of the state machine as it is: for the keys of members and the secret of the epoch. */
  async #trustState(): Promise<TrustState> {
    if (isLostState(this.#parts.damage)) return NO_TRUST
    const { stateBase, base } = this.#log
    const log = { stateBase, base: base.index, holds: (id: EntryId) => this.#log.holds(id) }
    const silent = { info: () => {}, warn: () => {} }
    const reporting = { onFailed: () => {}, onBoundary: undefined, events: silent }
    try {
      const machine = await openStateMachine(this.#parts.premises, log, reporting)
      const trustState = machine.trust()
      await machine.close()
      return trustState
    } catch (error) {
      if (!isLostState(error)) throw error
      this.#needsSnapshot = true
      return NO_TRUST
    }
  }

  /** The newest that can be read, or what the node was told when it joined. */
  #configuration(): Configuration {
    const newest = this.#log.configurations.at(-1)?.configuration
    return newest ?? this.#parts.premises.membership.welcome?.configuration ?? EMPTY_CONFIGURATION
  }

  /** A disk that fails leaves work unfinished for ever. */
  async #awaited<T>(work: Promise<T>): Promise<T> {
    let isDone = false
    work.finally(() => (isDone = true)).catch(() => {})
    await this.#until(() => isDone)
    return await work
  }

  /** @throws what the repair has to end with */
  async #until(isDone: () => boolean): Promise<void> {
    const isOver = (): boolean => isDone() || this.#parts.failure() !== null
    await until(SYSTEM, isOver, { deadlineMs: Infinity, everyMs: LOOK_MS })
    this.#throwFailure()
  }

  #throwFailure(): void {
    const failure = this.#parts.failure()
    if (failure !== null) throw failure
  }
}

const SYSTEM = { clock: systemClock, timers: systemTimers }
const LOOK_MS = 20
const SAY_MS = 60_000
/** Whether a start that ended with this may be possible with what others have. */
export function isRepairable(error: unknown): error is StorageError {
  return isDamagedEntry(error) || isLostBeginning(error) || isLostState(error)
}

const NO_TRUST: TrustState = { epoch: 0, nextNodeId: 0, nodes: [], invites: [], removed: [] }

function lost(index: number, cause: StorageError): StorageError {
  return new StorageError(
    {
      code: 'CORRUPTED',
      message: `the log is damaged: nobody can know what entry ${index} was`,
      hint: REJOIN_HINT,
      fields: { index }
    },
    { cause }
  )
}
