// One snapshot on its way here: first the hashes of its chunks, then the chunks that are missing, from
// whichever members have them, a few at a time, in no particular order; then it is prepared. A chunk is
// handed on when it comes and kept nowhere here, so a fetch holds a few chunks, however big the snapshot.
//
// Whoever answers wrongly, late or not at all costs time and nothing else: every byte is verified against
// the hashes, and the hashes against the snapshot's name, which the leader said.

import { assert } from '../assert.ts'
import type { Clock } from '../clock.ts'
import { HASH_BYTES } from '../crypto.ts'
import { MAX_FETCHING_CHUNKS, MAX_MANIFEST_PAGE } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { SnapshotInfo } from '../state-machine/state-machine.ts'
import type { SnapshotRequest } from './encoding.ts'
import type { Ask, Heard } from './snapshot-ask.ts'
import type { AskEnd } from './snapshot-sources.ts'
import { SnapshotSources } from './snapshot-sources.ts'

/** Where the chunks of one snapshot go. */
export interface IncomingSnapshot<Prepared> {
  /** positions of the chunks that are not here, ascending */
  missing(): readonly number[]
  /** Keeps a chunk. `bad`: its hash is another one, and nothing happened. */
  put(position: number, bytes: Uint8Array): 'kept' | 'bad'
  /**
   * When nothing is missing: makes of it what can be adopted. Null when that failed: chunks may be missing
   * again, if they were damaged here. Never calls synchronously.
   */
  prepare(onPrepared: (prepared: Prepared | null) => void): void
  /** Forgets it, with all that is here of it. */
  discard(): void
}

/** Begins or goes on with a snapshot that is fetched; null: the hashes are not those of that snapshot. */
export type Receive<Prepared> = (
  info: SnapshotInfo,
  manifest: Uint8Array
) => IncomingSnapshot<Prepared> | null

export interface SnapshotFetchParts<Prepared> {
  readonly info: SnapshotInfo
  readonly clock: Clock
  readonly ask: Ask
  /** members that can be asked at this moment */
  readonly sources: () => readonly NodeId[]
  readonly receive: Receive<Prepared>
  /** once, as the end of the fetch, unless it was ended */
  readonly onPrepared: (prepared: Prepared | null) => void
}

/** A question on its way. */
interface Question {
  readonly to: NodeId
  /** of a chunk; null for hashes */
  readonly position: number | null
  readonly untilMs: number
}

interface Manifest {
  readonly source: NodeId
  readonly bytes: Uint8Array
  /** of the hashes that are known */
  byteCount: number
}

export class SnapshotFetch<Prepared> {
  readonly info: SnapshotInfo
  readonly #parts: SnapshotFetchParts<Prepared>
  readonly #sources = new SnapshotSources()
  /** answers to others are late: used if they are of use */
  readonly #questions = new Set<Question>()
  /** as far as it is known; all of it from one member, or nobody could say who lied */
  #manifest: Manifest | null = null
  #incoming: IncomingSnapshot<Prepared> | null = null
  /** per chunk, one of the states below */
  readonly #chunks: Uint8Array
  /** no chunk before it is wanted */
  #wantedFrom = 0
  #missingCount: number
  #state: 'fetching' | 'preparing' | 'ended' = 'fetching'

  constructor(parts: SnapshotFetchParts<Prepared>) {
    this.info = parts.info
    this.#parts = parts
    this.#missingCount = parts.info.chunkCount
    this.#chunks = new Uint8Array(parts.info.chunkCount).fill(KEPT)
  }

  /** Chunks that are not here. */
  get missingCount(): number {
    return this.#missingCount
  }

  get isPreparing(): boolean {
    return this.#state === 'preparing'
  }

  /** Whether nobody who can be asked has it. */
  get isStuck(): boolean {
    const { sources, clock } = this.#parts
    return this.#state === 'fetching' && this.#sources.areUseless(sources(), clock.nowMs())
  }

  /** Gives up what takes too long and asks who may be asked again. Call once at the beginning, then every second. */
  look(): void {
    const nowMs = this.#parts.clock.nowMs()
    for (const question of this.#questions) {
      if (question.untilMs <= nowMs) this.#end(question, 'lost')
    }
    this.#askMore()
  }

  /** Stops; what came stays where it is. */
  end(): void {
    this.#state = 'ended'
    this.#questions.clear()
  }

  /** Stops and forgets what came. */
  discard(): void {
    this.end()
    this.#incoming?.discard()
  }

  #askMore(): void {
    while (this.#state === 'fetching' && this.#questions.size < this.#mostQuestions()) {
      const to = this.#nextSource()
      if (to === null) return
      if (this.#incoming === null) this.#askHashes(to)
      else if (!this.#askChunk(to)) return
    }
  }

  /** Hashes are asked for in order. */
  #mostQuestions(): number {
    return this.#incoming === null ? 1 : MAX_FETCHING_CHUNKS
  }

  #nextSource(): NodeId | null {
    const ids = this.#parts.sources()
    const nowMs = this.#parts.clock.nowMs()
    const same = this.#incoming === null ? ids.filter((id) => id === this.#manifest?.source) : []
    return this.#sources.next(same, nowMs) ?? this.#sources.next(ids, nowMs)
  }

  /** The first chunk that is wanted; the number of chunks if none is. */
  #nextWanted(): number {
    while (this.#wantedFrom < this.info.chunkCount && this.#chunks[this.#wantedFrom] !== WANTED) {
      this.#wantedFrom++
    }
    return this.#wantedFrom
  }

  #askHashes(to: NodeId): void {
    const { index, contentHash, chunkCount } = this.info
    if (this.#manifest === null || this.#manifest.source !== to) {
      this.#manifest = { source: to, bytes: new Uint8Array(chunkCount * HASH_BYTES), byteCount: 0 }
    }
    const manifest = this.#manifest
    const from = manifest.byteCount / HASH_BYTES
    this.#ask({ to, position: null }, { kind: 'manifest', index, contentHash, from }, (heard) => {
      if (heard.kind !== 'manifest') return endOf(heard)
      // one that came too late: another member was asked, or the same one again
      if (this.#manifest !== manifest || manifest.byteCount !== from * HASH_BYTES) return 'good'
      return this.#takeHashes(manifest, heard.bytes)
    })
  }

  /** False when no chunk is wanted. */
  #askChunk(to: NodeId): boolean {
    const { index, contentHash, chunkCount } = this.info
    const position = this.#nextWanted()
    if (position === chunkCount) return false
    this.#chunks[position] = ASKED
    this.#ask({ to, position }, { kind: 'chunk', index, contentHash, position }, (heard) => {
      return heard.kind === 'chunk' ? this.#takeChunk(position, heard.bytes) : endOf(heard)
    })
    return true
  }

  #ask(
    about: Omit<Question, 'untilMs'>,
    request: SnapshotRequest,
    take: (heard: Heard) => AskEnd
  ): void {
    const { clock, ask } = this.#parts
    const question: Question = { ...about, untilMs: clock.nowMs() + ANSWER_MS }
    this.#questions.add(question)
    this.#sources.onAsked(about.to)
    ask(about.to, request, (heard) => {
      if (this.#state !== 'fetching') return
      const end = take(heard)
      if (this.#questions.has(question)) this.#end(question, end)
      if (this.#missingCount === 0) this.#prepare()
      else this.#askMore()
    })
  }

  /** A question is over: what it asked for and did not get is wanted again. */
  #end(question: Question, end: AskEnd): void {
    this.#questions.delete(question)
    this.#sources.onEnd(question.to, end, this.#parts.clock.nowMs())
    const { position } = question
    if (position === null || this.#chunks[position] !== ASKED) return
    this.#chunks[position] = WANTED
    this.#wantedFrom = Math.min(this.#wantedFrom, position)
  }

  #takeHashes(manifest: Manifest, bytes: Uint8Array): AskEnd {
    const leftBytes = manifest.bytes.byteLength - manifest.byteCount
    const isRight = bytes.byteLength === Math.min(leftBytes, MAX_MANIFEST_PAGE * HASH_BYTES)
    if (isRight) manifest.bytes.set(bytes, manifest.byteCount)
    if (isRight) manifest.byteCount += bytes.byteLength
    if (isRight && manifest.byteCount < manifest.bytes.byteLength) return 'good'
    this.#manifest = null
    this.#incoming = isRight ? this.#parts.receive(this.info, manifest.bytes) : null
    if (this.#incoming === null) return 'bad'
    this.#wantMissing(this.#incoming)
    return 'good'
  }

  #wantMissing(incoming: IncomingSnapshot<Prepared>): void {
    const missing = incoming.missing()
    for (const position of missing) this.#chunks[position] = WANTED
    this.#missingCount = missing.length
    this.#wantedFrom = 0
  }

  #takeChunk(position: number, bytes: Uint8Array): AskEnd {
    assert(this.#incoming !== null, 'chunks are asked for when their hashes are known')
    if (this.#chunks[position] === KEPT) return 'good'
    if (this.#incoming.put(position, bytes) === 'bad') return 'bad'
    this.#chunks[position] = KEPT
    this.#missingCount--
    return 'good'
  }

  #prepare(): void {
    const incoming = this.#incoming
    assert(incoming !== null, 'a snapshot without hashes is never whole')
    this.#state = 'preparing'
    this.#questions.clear()
    incoming.prepare((prepared) => {
      if (this.#state !== 'preparing') return
      if (prepared === null) this.#wantMissing(incoming)
      if (this.#missingCount > 0) {
        this.#state = 'fetching'
        this.#askMore()
        return
      }
      if (prepared === null) this.discard()
      this.#state = 'ended'
      this.#parts.onPrepared(prepared)
    })
  }
}

/** How a question ended that got no bytes. */
function endOf(heard: Heard): AskEnd {
  if (heard.kind === 'notHere' || heard.kind === 'busy' || heard.kind === 'lost') return heard.kind
  return 'bad'
}

/** How long an answer may take: two chunks over the slowest path that is of use. One that comes later is taken too. */
const ANSWER_MS = 30_000

/** States of a chunk. */
const WANTED = 0
const ASKED = 1
const KEPT = 2
