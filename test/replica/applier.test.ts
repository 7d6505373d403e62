// Entries go to the state machine in order, and stop where something else has to happen between two.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { MAX_BATCH_SIZE } from '../../lib/limits.ts'
import type { Entry, Index } from '../../lib/raft/entry.ts'
import { ENTRY_KIND } from '../../lib/raft/entry.ts'
import { Applier } from '../../lib/replica/applier.ts'
import type { ApplierParts } from '../../lib/replica/applier.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import type { PreparedSnapshot, SnapshotInfo } from '../../lib/state-machine/state-machine.ts'

const HASH = new Uint8Array(32)

function infoAt(index: Index): SnapshotInfo {
  return { index, term: 1, chainHash: HASH, contentHash: HASH, byteCount: 9, chunkCount: 1 }
}

/** What the ports were asked, and what is there. */
class World {
  applied = 0
  committed = 0
  base = 0
  /** the log is cut below it only */
  keptIndex = Infinity
  /** what a cut meets in the log */
  damage: Error | null = null
  snapshots: SnapshotInfo[] = []
  readonly kinds = new Map<Index, number>()
  /** what was asked and told, in order */
  readonly told: string[] = []
  /** what is in progress, oldest first: a port completes when the test says so */
  readonly inProgress: (() => void)[] = []
  readonly applier: Applier

  constructor(keepEntries = 2) {
    this.applier = new Applier({
      stateMachine: this.#stateMachine(),
      log: this.#log(),
      keepEntries,
      clock: new VirtualTime(),
      entries: (from, to) => Array.from({ length: to - from }, (_, at) => this.#entryAt(from + at)),
      readyIndex: () => this.committed,
      onApplied: (entries) =>
        this.told.push(`applied ${present(entries.at(-1), 'an entry').index}`),
      onSnapshot: (info) => this.told.push(`snapshot ${info?.index ?? 'none'}`),
      onFailed: (error) => {
        if (!(error instanceof Error) || error !== this.damage) throw error
        this.told.push(`failed ${error.message}`)
      }
    })
  }

  commit(index: Index): void {
    this.committed = index
    this.applier.maybeApply()
  }

  /** Lets the oldest thing in progress end. */
  finish(): void {
    present(this.inProgress.shift(), 'something in progress')()
  }

  take(): readonly string[] {
    return this.told.splice(0)
  }

  hold(): void {
    this.applier.hold(() => this.told.push('held'))
  }

  #entryAt(index: Index): Entry {
    const kind = this.kinds.get(index) ?? ENTRY_KIND.write
    return { index, term: 1, kind, timeMs: 0, payload: new Uint8Array(1), hash: HASH }
  }

  #stateMachine(): ApplierParts['stateMachine'] {
    return {
      applied: () => ({ index: this.applied }),
      apply: (entries, onApplied) => {
        const last = present(entries.at(-1), 'an entry').index
        this.told.push(`apply ${this.applied + 1}–${last}`)
        this.inProgress.push(() => {
          this.applied = last
          onApplied(entries.map(() => ({ kind: 'none' })))
        })
      },
      snapshot: (on) => {
        const info = infoAt(this.applied)
        this.told.push(`cut ${info.index}`)
        this.inProgress.push(on.onBegun, () => {
          this.snapshots.unshift(info)
          on.onEnded(info)
        })
      },
      snapshots: { list: () => this.snapshots },
      adopt: ({ info }, onAdopted) => {
        this.told.push(`adopt ${info.index}`)
        this.inProgress.push(() => {
          this.applied = info.index
          onAdopted()
        })
      }
    }
  }

  #log(): ApplierParts['log'] {
    const baseAt = () => ({ index: this.base, term: 1, hash: HASH })
    return {
      get base() {
        return baseAt()
      },
      compact: (to, onDone) => {
        if (this.damage !== null) throw this.damage
        this.told.push(`compact ${to}`)
        this.inProgress.push(() => {
          this.base = Math.min(to, this.keptIndex - 1)
          onDone()
        })
      }
    }
  }
}

function prepared(index: Index): PreparedSnapshot {
  return {
    info: infoAt(index),
    timeMs: 0,
    configuration: { members: [], outgoing: [] },
    configurationIndex: 1
  }
}

test('one batch at a time, of at most MAX_BATCH_SIZE entries', (t) => {
  const world = new World()
  world.commit(3)
  world.commit(MAX_BATCH_SIZE + 10)
  t.alike(world.take(), ['apply 1–3'])
  world.finish()
  t.alike(world.take(), ['applied 3', `apply 4–${MAX_BATCH_SIZE + 3}`])
  world.finish()
  world.finish()
  t.alike(world.take().at(-1), `applied ${MAX_BATCH_SIZE + 10}`)
})

test('a batch ends with a snapshot entry, and nothing follows until the state is fixed', (t) => {
  const world = new World()
  world.kinds.set(3, ENTRY_KIND.snapshot)
  world.commit(6)
  t.alike(world.take(), ['apply 1–3'])
  world.finish()
  t.alike(world.take(), ['cut 3', 'applied 3'])
  world.commit(8)
  t.alike(world.take(), [], 'not before the snapshot has begun')
  world.finish()
  t.alike(world.take(), ['apply 4–8'])
  world.finish()
  t.alike(
    world.take(),
    ['snapshot 3', 'compact 1'],
    'the snapshot ended meanwhile; two entries are kept'
  )
})

test('two snapshot entries in one batch make two batches', (t) => {
  const world = new World()
  world.kinds.set(1, ENTRY_KIND.snapshot)
  world.kinds.set(2, ENTRY_KIND.snapshot)
  world.commit(2)
  world.finish()
  world.finish()
  t.alike(world.take(), ['apply 1–1', 'cut 1', 'applied 1', 'apply 2–2'])
})

test('the log is cut behind the newest snapshot, less what is kept, never beyond the one before', (t) => {
  const world = new World(50)
  world.applied = 200
  world.snapshots = [infoAt(100)]
  world.applier.maybeCompact()
  t.alike(world.take(), ['compact 50'])
  world.snapshots = [infoAt(130), infoAt(100)]
  world.applier.maybeCompact()
  t.alike(world.take(), [], 'one at a time')
  world.finish()
  t.alike(world.take(), ['compact 100'], 'the snapshot before bounds what is kept')
  world.finish()
  world.applier.maybeCompact()
  t.alike(world.take(), [], 'nothing is left to cut')
})

test('a state machine that starts behind its own snapshot cuts nothing that it has to apply again', (t) => {
  const world = new World(0)
  world.snapshots = [infoAt(100)]
  world.applied = 60
  world.applier.maybeCompact()
  t.alike(world.take(), [])
  world.snapshots = [infoAt(100), infoAt(50)]
  world.applier.maybeCompact()
  t.alike(world.take(), ['compact 50'], 'the one before counts')
})

test('a log that keeps its last entry is not asked for it again', (t) => {
  const world = new World(0)
  world.applied = 100
  world.keptIndex = 100
  world.snapshots = [infoAt(100)]
  world.applier.maybeCompact()
  t.alike(world.take(), ['compact 100'])
  world.finish()
  t.alike(world.take(), ['compact 100'], 'it may have been something else that was in its way')
  world.finish()
  t.alike(world.take(), [])
})

test('a damaged entry where the log would begin ends the node', (t) => {
  const world = new World(0)
  world.applied = 100
  world.snapshots = [infoAt(100)]
  world.damage = new Error('planted')
  world.applier.maybeCompact()
  t.alike(world.take(), ['failed planted'])
})

test('who holds waits for the batch in progress; nothing is applied before it is released', (t) => {
  const world = new World()
  world.commit(2)
  world.hold()
  world.commit(5)
  t.alike(world.take(), ['apply 1–2'])
  world.finish()
  t.alike(world.take(), ['applied 2', 'held'])
  world.commit(6)
  t.alike(world.take(), [])
  world.applier.release()
  t.alike(world.take(), ['apply 3–6'])
})

test('an idle applier is held at once, and adopts', (t) => {
  const world = new World()
  world.hold()
  world.committed = 52
  world.applier.adopt(prepared(50), () => world.told.push('adopted'))
  world.commit(52)
  t.alike(world.take(), ['held', 'adopt 50'])
  world.finish()
  t.alike(world.take(), ['adopted', 'apply 51–52'])
})

test('after its end nothing is asked or told any more', (t) => {
  const world = new World()
  world.kinds.set(2, ENTRY_KIND.snapshot)
  world.commit(4)
  world.finish()
  world.take()
  world.applier.end()
  while (world.inProgress.length > 0) world.finish()
  world.commit(9)
  t.alike(world.take(), [])
})
