// A node without a cluster, from its start to the moment in which it belongs to one: founded here by `init`, or
// told by a peer that it was admitted. Whichever comes first; the other is refused from then on. Up to that
// moment nothing in the folder says that it belongs anywhere. What fails afterwards ends the node, as it would
// have ended `create` or `join`: the next start goes on with what the folder holds.

import { systemClock, systemTimers } from '../clock.ts'
import { hexOf } from '../encoding.ts'
import { asAspenError, ControlPlaneError } from '../errors.ts'
import type { ClusterController, InitRequest } from '../service/cluster-controller.ts'
import type { ClusterState } from '../service/documents.ts'
import type { RequestOptions } from '../service/node-api.ts'
import { timeoutOf } from '../service/request-timeout.ts'
import type { ToldWelcome } from '../transport/welcome.ts'
import { addInitialMembers, othersOf } from './initial-members.ts'
import { Lobby } from './lobby.ts'
import type { NodeOptions } from './options.ts'
import type { Premises } from './opening.ts'
import type { Peer } from './peers.ts'
import { logOfAnother } from './plan.ts'
import { WelcomeSearch } from './welcome-search.ts'

export interface WaitingNodeParts {
  readonly premises: Omit<Premises, 'membership'>
  readonly peers: readonly Peer[]
  readonly startedMs: number
  readonly logger: NodeOptions['logger']
  /** Makes a cluster of this node, and runs it as its first member. */
  readonly found: () => Promise<ClusterController>
  /** Runs it as the member that it was admitted as. */
  readonly enter: (told: ToldWelcome) => Promise<unknown>
}

export class WaitingNode {
  readonly lobby: Lobby
  readonly #parts: WaitingNodeParts
  readonly #search: WelcomeSearch
  /** the way into a cluster, once it has begun */
  #entering: Promise<unknown> | null = null
  #isClosing = false

  constructor(parts: WaitingNodeParts) {
    this.#parts = parts
    const { premises, peers, logger } = parts
    const { keyPair, network, metrics } = premises
    this.lobby = new Lobby({
      publicKey: keyPair.publicKey,
      addresses: () => network.addresses(),
      clock: systemClock,
      startedMs: parts.startedMs,
      renderMetrics: () => metrics.render(),
      init: (request, options) => this.#init(request, options)
    })
    const time = { clock: systemClock, timers: systemTimers }
    this.#search = new WelcomeSearch({ network, keyPair, peers, events: logger, ...time })
  }

  /** Asks the peers from now on; ends with the node. */
  start(): void {
    const { premises, logger, enter, peers } = this.#parts
    const fields = { event: 'lobby.waiting', peers: peers.length }
    logger.info(fields, 'the node waits until it is to belong to a cluster')
    premises.ending.add(() => this.#close())
    this.#search.start((told) => {
      if (this.#entering !== null) return
      logger.info({ event: 'lobby.admitted', id: told.welcome.id }, 'a peer lets this node in')
      this.#enter(() => enter(told)).catch(nothing) // what fails ends the node
    })
  }

  /** Begins nothing any more, and lets end what has begun: it is short, and half-way is no moment to close things. */
  async settle(): Promise<void> {
    this.#close()
    await this.#entering?.then(nothing, nothing)
  }

  #close(): void {
    this.#isClosing = true
    this.#search.stop()
  }

  async #init(request: InitRequest, options: RequestOptions = {}): Promise<ClusterState> {
    const deadlineMs = systemClock.nowMs() + timeoutOf(options)
    const { premises, found } = this.#parts
    const { directory, keyPair } = premises
    const others = othersOf(request.initialMembers, hexOf(keyPair.publicKey))
    if (this.#entering !== null) throw inProgress()
    if (this.#isClosing) throw closing()
    // of an admission that was interrupted: this node belongs to that cluster
    if (directory.hasLog) throw logOfAnother(directory.path)
    this.#search.stop()
    const cluster = await this.#enter(found)
    const time = { clock: systemClock, timers: systemTimers }
    return await addInitialMembers({ cluster, others, deadlineMs, ...time })
  }

  async #enter<T>(run: () => Promise<T>): Promise<T> {
    const { ending, directory } = this.#parts.premises
    // where the node has to end meanwhile, nothing is opened after its folder was given up
    const entering = run()
    this.#entering = entering
    ending.add(() => entering.then(nothing, nothing))
    try {
      return await entering
    } catch (error) {
      const failure = asAspenError(error)
      const fields = { err: failure, event: 'node.failed', folder: directory.path }
      this.#parts.logger.fatal(fields, 'the node did not get into its cluster')
      ending.fail(failure)
      throw failure
    }
  }
}

function nothing(): void {}

function closing(): ControlPlaneError {
  return new ControlPlaneError({
    code: 'UNAVAILABLE',
    message: 'not carried out: this node is closing'
  })
}

function inProgress(): ControlPlaneError {
  return new ControlPlaneError({
    code: 'ALREADY_INITIALIZED',
    message: 'this node is about to belong to a cluster',
    hint: "'aspen members' shows in a moment who else does"
  })
}
