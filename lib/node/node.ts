// A running node on this machine: opens everything in order, closes it in reverse.
//
//   1. the data directory and its lock       5. the log store, the state machine
//   2. the intent against what is there      6. core, transport, services (assembly.ts)
//   3. the identity; the network             7. the HTTP API
//   4. for `join`: the admission             8. start
//   9. `create` founds the cluster, `join` waits until it is caught up
//
// Only 4 and 9 wait for anything but this machine.

import { TransportError } from '../errors.ts'
import type { AspenError } from '../errors.ts'
import { randomBytes, systemRandom } from '../random.ts'
import type { ClusterController } from '../service/cluster-controller.ts'
import type {
  Health,
  Members,
  NewTicket,
  Probe,
  Status,
  Survey,
  Tickets
} from '../service/documents.ts'
import { KeyValueStore } from '../service/key-value-store.ts'
import type {
  Backup,
  NodeApi,
  ReadOptions,
  RequestOptions,
  TicketOptions
} from '../service/node-api.ts'
import { DataDirectory } from './data-directory.ts'
import { systemClock, systemTimers } from '../clock.ts'
import { VERSION } from '../version.ts'
import type { Assembly } from './assembly.ts'
import { Ending } from './ending.ts'
import { awaitFounded, CLUSTER_ID_BYTES, FOUNDER_ID } from './founding.ts'
import { admit, awaitCaughtUp } from './joining.ts'
import { isRepairable, repairLog } from './log-repairing.ts'
import type { Membership } from './membership.ts'
import { newMembership, readMembership, writeMembership } from './membership.ts'
import type { NodeOptions, Opened } from './options.ts'
import type { Premises, Running, StoreReporting, Stores } from './opening.ts'
import { openApi, openAssembly, openLog, openNetwork, openStores } from './opening.ts'
import type { Plan } from './plan.ts'
import { planOf } from './plan.ts'
import { openMetrics } from './process-metrics.ts'
import { Scrubber } from './scrubber.ts'

export class AspenNode implements Omit<NodeApi, 'kv'> {
  /** Reads and writes through this node. */
  readonly kv: KeyValueStore
  readonly opened: Opened
  /** Resolves with the process's exit code when the node has ended: by `close` (0), or by itself. */
  readonly closed: Promise<number>
  readonly #running: Running

  private constructor(running: Running, opened: Opened) {
    this.#running = running
    this.kv = new KeyValueStore(running.assembly.service.kv)
    this.opened = opened
    this.closed = running.ending.exitCode
  }

  /**
   * Opens a node as `options.intent` says.
   * @throws ConfigError, StorageError, TransportError, TicketError: nothing is left running then
   */
  static async open(options: NodeOptions): Promise<AspenNode> {
    const ending = new Ending((error) => {
      options.logger.error({ err: error, event: 'node.close' }, 'a part could not be closed')
    })
    const { openLimitMs = null } = options
    const limit =
      openLimitMs === null
        ? null
        : systemTimers.start(openLimitMs, () => ending.fail(tooLong(openLimitMs)))
    try {
      // a store that fails answers nobody any more: whoever waits for it would do so for ever
      return await Promise.race([AspenNode.#open(options, ending), failureOf(ending)])
    } catch (error) {
      await ending.end()
      // what a failed store brought about is not what happened
      throw ending.failure ?? error
    } finally {
      limit?.cancel()
    }
  }

  static async #open(options: NodeOptions, ending: Ending): Promise<AspenNode> {
    const premises = await openPremises(options, ending)
    const running = await run(options, premises)
    const opened = await settle(options, running)
    if (ending.failure !== null) throw ending.failure
    return new AspenNode(running, opened)
  }

  get cluster(): ClusterController {
    return this.#service.cluster
  }

  status(): Status {
    return this.#service.status()
  }

  members(): Members {
    return this.#service.members()
  }

  health(): Health {
    return this.#service.health()
  }

  livez(): Probe {
    return this.#service.livez()
  }

  readyz(): Promise<Probe> {
    return this.#service.readyz()
  }

  createTicket(options?: TicketOptions): Promise<NewTicket> {
    return this.#service.createTicket(options)
  }

  listTickets(options?: RequestOptions): Promise<Tickets> {
    return this.#service.listTickets(options)
  }

  revokeTicket(id: string, options?: RequestOptions): Promise<void> {
    return this.#service.revokeTicket(id, options)
  }

  backup(options?: ReadOptions): Promise<Backup> {
    return this.#service.backup(options)
  }

  survey(): Promise<Survey> {
    return this.#service.survey()
  }

  metrics(): Promise<string> {
    return this.#service.metrics()
  }

  /** Hands leadership over, closes everything, releases the directory. May be called twice. */
  async close(): Promise<void> {
    const { ending, assembly } = this.#running
    await ending.end(async () => {
      assembly.service.drain()
      await assembly.handOver()
    })
  }

  get #service(): NodeApi {
    return this.#running.assembly.service
  }
}

function tooLong(limitMs: number): AspenError {
  return new TransportError({
    code: 'UNAVAILABLE',
    message: `the node could not be opened within ${limitMs / 1000} s`,
    hint: 'its log or its state is damaged, and no member in reach has what is missing'
  })
}

/** Rejects when the node has ended by a failure. */
function failureOf(ending: Ending): Promise<never> {
  return new Promise((_resolve, reject) => {
    void ending.exitCode.then(() => {
      if (ending.failure !== null) reject(ending.failure)
    })
  })
}

/** Steps 1 to 4. */
async function openPremises(options: NodeOptions, ending: Ending): Promise<Premises> {
  const directory = DataDirectory.open(options.dataDir, options.onBoundary)
  ending.add(() => directory.close())
  // of a process that was killed: nobody must signal its number
  directory.removeRuntime()
  options.onProgress({ phase: 'open', text: 'opening the data directory' })
  const plan = planOf(options, readMembership(directory), directory)
  const keyPair = directory.keyPair(systemRandom)
  const network = await openNetwork(options, plan, keyPair)
  ending.add(() => network.close())
  const instance = randomBytes(systemRandom, 16)
  const metrics = openMetrics(ending)
  const premises = { directory, plan, keyPair, network, instance, ending, metrics }
  const membership = await membershipOf(options, premises)
  return { ...premises, membership }
}

async function membershipOf(
  { onProgress, intent }: NodeOptions,
  { plan, directory, network, keyPair }: Omit<Premises, 'membership'>
): Promise<Membership> {
  if (plan.kind === 'run') return plan.membership
  if (plan.kind === 'create') return beginCluster(directory, plan)
  const timeoutMs = intent.kind === 'join' ? intent.timeoutMs : 0
  return await admit({ network, keyPair, plan, timeoutMs, onProgress, ...SYSTEM })
}

/** A new cluster id, durable before anything is made from it. */
function beginCluster(directory: DataDirectory, plan: Plan): Membership {
  const clusterId = randomBytes(systemRandom, CLUSTER_ID_BYTES)
  const identity = { state: 'creating', clusterId, id: FOUNDER_ID, welcome: null } as const
  const membership = newMembership(plan, identity)
  writeMembership(directory, membership)
  return membership
}

const SYSTEM = { clock: systemClock, timers: systemTimers, random: systemRandom }

/** Steps 5 to 8. */
async function run(options: NodeOptions, found: Premises): Promise<Running> {
  const { logger } = options
  const { ending, directory, plan } = found
  let opened: Assembly | null = null
  const fail = (error: AspenError): void => {
    const { hint = null } = error.detail
    logger.fatal({ err: error, event: 'node.failed', hint }, 'the node ends')
    opened?.fail()
    if (error.code === 'STATE_DIVERGED') giveUp(options, found)
    ending.fail(error)
  }
  const reporting = { onFailed: fail, onBoundary: options.onBoundary, events: logger }
  const { premises, stores } = await openWhole(options, found, reporting)
  const { name, bootstrap, timing, storage } = plan
  const addressed = { name, bootstrap, timing, storage, udpPort: premises.network.port }
  const membership = { ...premises.membership, ...addressed }
  // from here on the directory is a member's: the log is there, so the marker may be
  writeMembership(directory, membership)
  const assembly = openAssembly(options, { ...premises, membership }, { ...stores, fail })
  opened = assembly
  const api = await openApi(options, { ...premises, membership }, assembly)
  const recorded = { ...membership, httpPort: api.recordedPort }
  writeMembership(directory, recorded)
  await assembly.start()
  const scrubber = new Scrubber({
    timers: systemTimers,
    log: stores.log,
    isAlone: () => assembly.isAlone,
    onAlone: (error) =>
      logger.error(
        { err: error, event: 'storage.damaged' },
        'damage that no other member can repair'
      ),
    handOver: () => assembly.handOver(),
    onFailed: fail
  })
  scrubber.start()
  ending.add(() => scrubber.close())
  const fields = { event: 'node.started', id: membership.id, http: api.url, timing }
  logger.info(fields, 'the node runs')
  return { ...premises, membership: recorded, assembly, api }
}

/** No later start may serve the state of this directory. */
function giveUp({ logger }: NodeOptions, { directory, membership }: Premises): void {
  try {
    writeMembership(directory, { ...membership, state: 'diverged' })
  } catch (error) {
    logger.error({ err: error, event: 'node.diverged' }, 'this could not be written down')
  }
}

/** Log and state; what is damaged is put together again first, over a network of its own. */
async function openWhole(
  options: NodeOptions,
  premises: Premises,
  reporting: StoreReporting
): Promise<{ readonly premises: Premises; readonly stores: Stores }> {
  try {
    return { premises, stores: await openLogAndStores(premises, reporting) }
  } catch (error) {
    if (!isRepairable(error)) throw error
    const repaired = repairLog(options, premises, error)
    // where the node has to end meanwhile, the log is closed before the directory is given up
    premises.ending.add(() => repaired.catch(() => {}))
    await repaired
  }
  const { plan, keyPair, ending } = premises
  const network = await openNetwork(options, plan, keyPair)
  ending.add(() => network.close())
  const again = { ...premises, network }
  return { premises: again, stores: await openLogAndStores(again, reporting) }
}

async function openLogAndStores(premises: Premises, reporting: StoreReporting): Promise<Stores> {
  const log = await openLog(premises, reporting)
  try {
    return await openStores(premises, log, reporting)
  } catch (error) {
    await log.store.close()
    throw error
  }
}

/** Step 9: what the intent still waits for, now that the node runs and answers. */
async function settle(options: NodeOptions, running: Running): Promise<Opened> {
  const { intent, onProgress } = options
  const { assembly, keyPair, membership, directory, plan, api } = running
  const { takenPort: httpPortTaken } = api
  if (membership.state === 'creating') {
    const { name } = membership
    await awaitFounded({ assembly, keyPair, name, version: VERSION, ...SYSTEM })
    const ticket = await assembly.service.createTicket()
    // until its ticket was made, the same command goes on with the cluster
    writeMembership(directory, { ...membership, state: 'member' })
    return { ticket, wasMember: false, httpPortTaken }
  }
  const wasMember = intent.kind === 'join' && plan.kind === 'run'
  if (intent.kind === 'join' && !wasMember) {
    const { timeoutMs } = intent
    await awaitCaughtUp(assembly, { timeoutMs, onProgress, ...SYSTEM })
  }
  return { ticket: null, wasMember, httpPortTaken }
}
