// The state machine of a simulated node, watched, and the snapshots that it makes and fetches: each call
// passes the oracles and the points at which the process may die.

import type { Entry, Index } from '../raft/entry.ts'
import type {
  Applied,
  ApplyResult,
  IncomingSnapshot,
  KeyValue,
  PreparedSnapshot,
  ScanPage,
  ScanRequest,
  SnapshotInfo,
  SnapshotName,
  SnapshotProgress,
  Snapshots,
  StateMachine,
  TrustState
} from '../state-machine/state-machine.ts'
import type { Process } from './machine.ts'
import type { World } from './world.ts'

export class WatchedStateMachine implements StateMachine {
  readonly #world: World
  readonly #process: Process
  readonly #stateMachine: StateMachine
  readonly snapshots: Snapshots

  constructor(world: World, process: Process, stateMachine: StateMachine) {
    this.#world = world
    this.#process = process
    this.#stateMachine = stateMachine
    this.snapshots = new WatchedSnapshots(world, process, stateMachine.snapshots)
  }

  applied(): Applied {
    return this.#stateMachine.applied()
  }

  trust(): TrustState {
    return this.#stateMachine.trust()
  }

  apply(entries: readonly Entry[], onApplied: (results: readonly ApplyResult[]) => void): void {
    const [world, process] = [this.#world, this.#process]
    world.boundary(process, 'apply')
    if (process.isDead) return
    this.#stateMachine.apply(entries, (results) => {
      world.boundary(process, 'applied')
      if (process.isDead) return
      world.onApplied(process, this.#stateMachine.applied())
      onApplied(results)
    })
  }

  get(key: Uint8Array): KeyValue | null {
    return this.#stateMachine.get(key)
  }

  scan(request: ScanRequest): ScanPage {
    return this.#stateMachine.scan(request)
  }

  get durableAppliedIndex(): Index {
    return this.#stateMachine.durableAppliedIndex
  }

  snapshot(on: SnapshotProgress): void {
    const [world, process] = [this.#world, this.#process]
    world.boundary(process, 'snapshot')
    if (process.isDead) return
    const { index } = this.applied()
    this.#stateMachine.snapshot({
      onBegun: () => {
        world.boundary(process, 'cut')
        if (!process.isDead) on.onBegun()
      },
      onEnded: (info) => {
        if (process.isDead) return
        if (info !== null) world.onSnapshot(process, info, index)
        world.boundary(process, 'snapshotted')
        if (!process.isDead) on.onEnded(info)
      }
    })
  }

  adopt(prepared: PreparedSnapshot, onAdopted: () => void): void {
    const [world, process] = [this.#world, this.#process]
    world.boundary(process, 'adopt')
    if (process.isDead) return
    const before = this.applied().index
    this.#stateMachine.adopt(prepared, () => {
      if (process.isDead) return
      world.onAdopted(process, before, this.#stateMachine.applied())
      world.boundary(process, 'adopted')
      if (!process.isDead) onAdopted()
    })
  }

  close(): Promise<void> {
    return this.#stateMachine.close()
  }
}

class WatchedSnapshots implements Snapshots {
  readonly #world: World
  readonly #process: Process
  readonly #snapshots: Snapshots

  constructor(world: World, process: Process, snapshots: Snapshots) {
    this.#world = world
    this.#process = process
    this.#snapshots = snapshots
  }

  list(): readonly SnapshotInfo[] {
    return this.#snapshots.list()
  }

  manifest(name: SnapshotName, onRead: (manifest: Uint8Array | null) => void): void {
    this.#snapshots.manifest(name, onRead)
  }

  chunk(name: SnapshotName, position: number, onRead: (bytes: Uint8Array | null) => void): void {
    this.#snapshots.chunk(name, position, onRead)
  }

  receive(info: SnapshotInfo, manifest: Uint8Array): IncomingSnapshot | null {
    const [world, process] = [this.#world, this.#process]
    world.boundary(process, 'receive')
    if (process.isDead) return null
    const incoming = this.#snapshots.receive(info, manifest)
    return incoming === null ? null : new WatchedIncoming(world, process, incoming)
  }
}

class WatchedIncoming implements IncomingSnapshot {
  readonly #world: World
  readonly #process: Process
  readonly #incoming: IncomingSnapshot

  constructor(world: World, process: Process, incoming: IncomingSnapshot) {
    this.#world = world
    this.#process = process
    this.#incoming = incoming
  }

  get info(): SnapshotInfo {
    return this.#incoming.info
  }

  missing(): readonly number[] {
    return this.#incoming.missing()
  }

  put(position: number, bytes: Uint8Array): 'kept' | 'bad' {
    const [world, process] = [this.#world, this.#process]
    if (process.isDead) return 'bad'
    const end = this.#incoming.put(position, bytes)
    world.boundary(process, 'put')
    return end
  }

  prepare(onPrepared: (prepared: PreparedSnapshot | null) => void): void {
    const [world, process] = [this.#world, this.#process]
    world.boundary(process, 'prepare')
    if (process.isDead) return
    this.#incoming.prepare((prepared) => {
      world.boundary(process, 'prepared')
      if (!process.isDead) onPrepared(prepared)
    })
  }

  discard(): void {
    if (!this.#process.isDead) this.#incoming.discard()
  }
}
