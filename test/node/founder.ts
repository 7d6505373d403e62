// The first node of a cluster, over memory ports and virtual time, that can be interrupted at any
// moment of its founding and begin again from what was durable.

import { STORAGE_POLICY } from '../../lib/cluster/storage-policy.ts'
import type { AspenError } from '../../lib/errors.ts'
import { keyPairFromSeed, SEED_BYTES } from '../../lib/crypto.ts'
import { DEFAULT_TARGET_VOTERS } from '../../lib/limits.ts'
import { MemoryLogDisk } from '../../lib/log-store/memory-log-disk.ts'
import { MemoryLogStore } from '../../lib/log-store/memory-log-store.ts'
import type { OpenedLog } from '../../lib/log-store/log-store.ts'
import { Assembly } from '../../lib/node/assembly.ts'
import type { AssemblyParts } from '../../lib/node/assembly-parts.ts'
import { awaitFounded, FOUNDER_ID, foundLog } from '../../lib/node/founding.ts'
import { genesis } from '../../lib/raft/entry.ts'
import { TIMING } from '../../lib/raft/timing.ts'
import { randomBytes, SeededRandom } from '../../lib/random.ts'
import { MemoryStateMachine } from '../../lib/state-machine/memory-state-machine.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'
import { VERSION } from '../../lib/version.ts'

export const FOUNDER_NAME = 'alder'
const CLUSTER_ID = new Uint8Array(16).fill(7)
const ADDRESS = { host: '10.0.0.1', port: 49_737 }
/** How long a log write takes. */
const WRITE_MS = 3

/** What is started, and how far it came. */
export interface Founding {
  readonly assembly: Assembly
  readonly log: MemoryLogStore
  /** the error, or null; settled when the founding is over */
  readonly end: Promise<AspenError | null>
  isOver: boolean
}

/** Parts of the assembly that a test watches. */
type Instruments = Partial<Pick<AssemblyParts, 'events' | 'makeTransport'>>

export class Founder {
  readonly #cluster = new MemoryCluster({ seed: 1 })
  readonly time = this.#cluster.time
  readonly keyPair = keyPairFromSeed(new Uint8Array(SEED_BYTES).fill(5))
  readonly disk = new MemoryLogDisk()
  /** false: writes never become durable */
  isDiskAlive = true
  readonly #random = new SeededRandom(1)
  readonly #instruments: Instruments

  constructor(instruments: Instruments = {}) {
    this.#instruments = instruments
  }

  openLog(): OpenedLog<MemoryLogStore> {
    const { disk, time } = this
    return MemoryLogStore.open({
      disk,
      genesis: genesis(CLUSTER_ID),
      random: this.#random,
      onFailed: () => {},
      defer: (fn) => void (this.isDiskAlive && time.start(WRITE_MS, fn))
    })
  }

  foundLog(opened: OpenedLog<MemoryLogStore>): ReturnType<typeof foundLog> {
    const founder = { clusterId: CLUSTER_ID, keyPair: this.keyPair, addresses: [ADDRESS] }
    return foundLog(opened, founder, this.time.wallMs())
  }

  /** Opens what there is and runs it, as `create` does, up to the first epoch. */
  async begin(): Promise<Founding> {
    const opened = this.openLog()
    const restored = await this.foundLog(opened)
    const { store } = opened
    const assembly = this.#assembly(store, restored)
    await assembly.start()
    const founding: Founding = { assembly, log: store, end: this.await(assembly), isOver: false }
    void founding.end.then(() => (founding.isOver = true)) // it never rejects
    return founding
  }

  /** `awaitFounded`, with its error as a value. */
  await(assembly: Assembly): Promise<AspenError | null> {
    const { time, keyPair } = this
    const parts = { assembly, keyPair, name: FOUNDER_NAME, version: VERSION, random: this.#random }
    return awaitFounded({ ...parts, clock: time, timers: time }).then(
      () => null,
      (error: AspenError) => error
    )
  }

  #assembly(log: MemoryLogStore, restored: Awaited<ReturnType<typeof foundLog>>): Assembly {
    const { time, keyPair } = this
    const onFailed = (): void => {}
    return new Assembly({
      clusterId: CLUSTER_ID,
      keyPair,
      name: FOUNDER_NAME,
      id: FOUNDER_ID,
      version: VERSION,
      instance: randomBytes(this.#random, 16),
      welcome: null,
      bootstrap: [],
      targetVoters: DEFAULT_TARGET_VOTERS,
      timing: TIMING.default,
      clock: time,
      timers: time,
      random: this.#random,
      log,
      restored,
      stateMachine: MemoryStateMachine.open({
        genesis: genesis(CLUSTER_ID),
        onFailed,
        defer: (fn) => time.soon(fn)
      }),
      network: this.#cluster.hub.network(keyPair, ADDRESS),
      events: { info: () => {}, warn: () => {} },
      savedAddresses: new Map(),
      onAddress: () => {},
      onFailed,
      memories: { found: new Map(), save: (_memories, onEnd) => time.soon(() => onEnd(true)) },
      backups: null,
      metrics: null,
      sizes: null,
      diskProbe: null,
      maxState: { entryCount: 1_000, byteCount: 1_000_000 },
      storagePolicy: STORAGE_POLICY,
      dataDir: '/alder',
      storageBackend: 'inmemory',
      pid: 1,
      ...this.#instruments
    })
  }
}
