// Snapshots between members. A leader offers its newest one to a follower whose next entry is gone from
// the log; the follower fetches it from whoever has the same one, since all that snapshot at an index make
// the same bytes; every member serves the chunks of its own.
//
// A follower hears only the leader that it follows, in the term that it is in. One fetch at a time; an
// offer of a newer snapshot ends the one before, which is why a leader goes on offering one as long as it
// can be followed on: else a fetch that takes longer than the next snapshot would never end.
//
// What was fetched is on disk under its name: a fetch that begins again, also after a restart, asks only
// for what is missing.

import { unreachable } from '../assert.ts'
import type { Clock, Timer, Timers } from '../clock.ts'
import { HASH_BYTES } from '../crypto.ts'
import { MAX_MANIFEST_PAGE, MAX_SNAPSHOT_READS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Status } from '../raft/effects.ts'
import type { Index } from '../raft/entry.ts'
import { isSameSnapshot } from '../state-machine/snapshot-stream.ts'
import type { SnapshotInfo, SnapshotName } from '../state-machine/state-machine.ts'
import type { SnapshotAnswer, SnapshotRequest } from './encoding.ts'
import type { Ask } from './snapshot-ask.ts'
import type { Receive } from './snapshot-fetch.ts'
import { SnapshotFetch } from './snapshot-fetch.ts'

/** The snapshots of this node, and where another one is put together. */
export interface Snapshots<Prepared> {
  /** those that are whole, the newest first */
  list(): readonly SnapshotInfo[]
  /** Hashes of the chunks, one after the other; null: not here any more. */
  manifest(info: SnapshotInfo, onRead: (bytes: Uint8Array | null) => void): void
  /** A verified chunk; null: not here any more. */
  chunk(info: SnapshotInfo, position: number, onRead: (bytes: Uint8Array | null) => void): void
  /** Begins or goes on; another snapshot discards the one before. */
  readonly receive: Receive<Prepared>
}

export interface SnapshotTransferParts<Prepared> {
  readonly clock: Clock
  readonly timers: Timers
  readonly ask: Ask
  readonly snapshots: Snapshots<Prepared>
  readonly status: () => Pick<Status, 'role' | 'term' | 'leader' | 'commitIndex'>
  /** index before the first entry of the own log: who has less cannot be sent entries */
  readonly logBase: () => Index
  /** members with a link */
  readonly sources: () => readonly NodeId[]
  /** A fetched snapshot can be adopted; until `onSettled` no other is fetched. */
  readonly onPrepared: (prepared: Prepared) => void
  /** A follower needs a snapshot and there is none that it could go on from; said again as long as it is so. */
  readonly onNoneHere: () => void
  /** Another member began to fetch a snapshot of this one; whether it is here. */
  readonly onServed: (isHere: boolean) => void
}

/** A snapshot that is being fetched, for people. */
export interface FetchProgress {
  readonly index: Index
  readonly byteCount: number
  readonly chunkCount: number
  readonly missingCount: number
}

interface Offered {
  readonly id: SnapshotName
  readonly atMs: number
}

type TransferRequest = Extract<SnapshotRequest, { kind: 'offer' | 'manifest' | 'chunk' }>

export class SnapshotTransfer<Prepared> {
  readonly #parts: SnapshotTransferParts<Prepared>
  /** what was offered to whom, not long ago */
  readonly #offered = new Map<NodeId, Offered>()
  #fetch: SnapshotFetch<Prepared> | null = null
  #timer: Timer | null = null
  /** a prepared snapshot is with the owner */
  #isHandedOver = false
  /** a snapshot that could not be prepared, which is not fetched again at once */
  #failed: Offered | null = null
  #readCount = 0
  #isClosed = false

  constructor(parts: SnapshotTransferParts<Prepared>) {
    this.#parts = parts
  }

  get progress(): FetchProgress | null {
    if (this.#fetch === null) return null
    const { info, missingCount } = this.#fetch
    const { index, byteCount, chunkCount } = info
    return { index, byteCount, chunkCount, missingCount }
  }

  /** Leader: these followers need a snapshot (`Effects.snapshotsNeeded`). May be called as often as one likes. */
  onSnapshotsNeeded(ids: readonly NodeId[]): void {
    if (this.#isClosed || ids.length === 0) return
    const nowMs = this.#parts.clock.nowMs()
    for (const [id, { atMs }] of this.#offered) {
      if (atMs + OFFER_LIFE_MS <= nowMs) this.#offered.delete(id)
    }
    for (const id of ids) this.#maybeOffer(id, nowMs)
  }

  /** What another member asks; `answer` is called at most once. */
  onRequest(
    from: NodeId,
    request: TransferRequest,
    answer: (answer: SnapshotAnswer) => void
  ): void {
    if (this.#isClosed) return
    switch (request.kind) {
      case 'offer':
        this.#onOffer(from, request.term, request.snapshot)
        answer({ kind: 'noted' })
        return
      case 'manifest':
      case 'chunk':
        this.#serve(request, answer)
        return
      default:
        unreachable(request)
    }
  }

  /** The prepared snapshot was adopted, or was not needed any more. */
  onSettled(): void {
    this.#isHandedOver = false
  }

  /** What was fetched stays for the next start. May be called twice. */
  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#fetch?.end()
    this.#fetch = null
  }

  #maybeOffer(to: NodeId, nowMs: number): void {
    const { snapshots, status, logBase, ask, onNoneHere } = this.#parts
    const before = this.#offered.get(to)
    if (before !== undefined && before.atMs + OFFER_PAUSE_MS > nowMs) return
    const useful = snapshots.list().filter(({ index }) => index >= logBase())
    const again = useful.find((info) => before !== undefined && isSameSnapshot(info, before.id))
    const snapshot = again ?? useful[0]
    if (snapshot === undefined) {
      onNoneHere()
      return
    }
    this.#offered.set(to, { id: snapshot, atMs: nowMs })
    ask(to, { kind: 'offer', term: status().term, snapshot }, () => {})
  }

  #onOffer(from: NodeId, term: number, snapshot: SnapshotInfo): void {
    const status = this.#parts.status()
    if (status.role === 'leader' || status.leader !== from || status.term !== term) return
    if (this.#isHandedOver || !this.#isNeeded(snapshot) || this.#hasFailed(snapshot)) return
    const fetch = this.#fetch
    if (fetch !== null) {
      if (fetch.isPreparing || isSameSnapshot(fetch.info, snapshot)) return
      if (snapshot.index < fetch.info.index && !fetch.isStuck) return
      fetch.discard()
    }
    this.#begin(snapshot)
  }

  #begin(info: SnapshotInfo): void {
    const { clock, ask, sources, snapshots } = this.#parts
    this.#fetch = new SnapshotFetch<Prepared>({
      info,
      clock,
      ask,
      sources,
      receive: (wanted, manifest) => snapshots.receive(wanted, manifest),
      onPrepared: (prepared) => this.#onPrepared(info, prepared)
    })
    this.#look()
  }

  /** Looks after the fetch, now and every second. */
  #look(): void {
    this.#timer?.cancel()
    this.#timer = null
    const fetch = this.#fetch
    if (fetch === null) return
    if (!fetch.isPreparing && !this.#isNeeded(fetch.info)) {
      fetch.discard()
      this.#fetch = null
      return
    }
    this.#timer = this.#parts.timers.start(LOOK_MS, () => this.#look())
    fetch.look()
  }

  #onPrepared(info: SnapshotInfo, prepared: Prepared | null): void {
    const { clock, onPrepared } = this.#parts
    this.#fetch = null
    if (prepared === null) {
      this.#failed = { id: info, atMs: clock.nowMs() }
      return
    }
    this.#isHandedOver = true
    onPrepared(prepared)
  }

  /** Entries came meanwhile, or came before: then the log goes on by itself. */
  #isNeeded({ index }: SnapshotInfo): boolean {
    return index > this.#parts.status().commitIndex
  }

  #hasFailed(snapshot: SnapshotInfo): boolean {
    if (this.#failed === null || !isSameSnapshot(this.#failed.id, snapshot)) return false
    return this.#failed.atMs + FAILED_PAUSE_MS > this.#parts.clock.nowMs()
  }

  #serve(
    request: Exclude<TransferRequest, { kind: 'offer' }>,
    answer: (answer: SnapshotAnswer) => void
  ): void {
    const { snapshots } = this.#parts
    const info = snapshots.list().find((each) => isSameSnapshot(each, request))
    const position = request.kind === 'manifest' ? request.from : request.position
    const isHere = info !== undefined && position < info.chunkCount
    if (!isHere || (request.kind === 'manifest' && position === 0)) this.#parts.onServed(isHere)
    if (!isHere) {
      answer({ kind: 'notHere' })
      return
    }
    if (this.#readCount >= MAX_SNAPSHOT_READS) {
      answer({ kind: 'busy' })
      return
    }
    this.#readCount++
    const onRead = (bytes: Uint8Array | null): void => {
      this.#readCount--
      if (this.#isClosed) return
      if (bytes === null) answer({ kind: 'notHere' })
      else if (request.kind === 'chunk') answer({ kind: 'chunk', bytes })
      else answer({ kind: 'manifest', bytes: pageOf(bytes, position) })
    }
    if (request.kind === 'manifest') snapshots.manifest(info, onRead)
    else snapshots.chunk(info, position, onRead)
  }
}

/** Some of the hashes of a manifest, from `position` on. */
function pageOf(manifest: Uint8Array, position: number): Uint8Array {
  return manifest.subarray(position * HASH_BYTES, (position + MAX_MANIFEST_PAGE) * HASH_BYTES)
}

/** An offer may have been lost, or come before the follower knew whom it follows. */
const OFFER_PAUSE_MS = 1_000
/** After so long without need, a follower is offered the newest again. */
const OFFER_LIFE_MS = 10_000
const LOOK_MS = 1_000
/** Before a snapshot that could not be prepared is fetched once more. */
const FAILED_PAUSE_MS = 60_000
