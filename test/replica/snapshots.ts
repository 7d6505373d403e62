// Snapshots in memory, and members that exchange them over a post on virtual time: what is lost, late,
// repeated or changed on the way is the test's decision.

import { assert, present } from '../../lib/assert.ts'
import { hash, HASH_BYTES } from '../../lib/crypto.ts'
import { decode, encode, hexOf } from '../../lib/encoding.ts'
import { SNAPSHOT_CHUNK_BYTES } from '../../lib/limits.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { Status } from '../../lib/raft/effects.ts'
import type { Index } from '../../lib/raft/entry.ts'
import { SeededRandom } from '../../lib/random.ts'
import type { SnapshotAnswer, SnapshotRequest } from '../../lib/replica/encoding.ts'
import type { SnapshotInfo } from '../../lib/state-machine/state-machine.ts'
import { snapshotAnswer, snapshotRequest } from '../../lib/replica/encoding.ts'
import { askOver } from '../../lib/replica/snapshot-ask.ts'
import type { IncomingSnapshot } from '../../lib/replica/snapshot-fetch.ts'
import { SnapshotTransfer } from '../../lib/replica/snapshot-transfer.ts'
import type { Snapshots } from '../../lib/replica/snapshot-transfer.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import type { RequestAnswer } from '../../lib/transport/transport.ts'

/** A whole snapshot. */
export interface Stored {
  readonly info: SnapshotInfo
  readonly manifest: Uint8Array
  readonly chunks: readonly Uint8Array[]
}

/** The snapshot that every member makes at `index`. */
export function snapshotAt(index: Index, chunkCount: number, seed = index): Stored {
  const random = new SeededRandom(seed)
  const chunks = Array.from({ length: chunkCount }, (_, position) => {
    const isLast = position === chunkCount - 1
    const chunk = new Uint8Array(isLast ? 1_000 : SNAPSHOT_CHUNK_BYTES)
    random.fill(chunk.subarray(0, 32))
    return chunk
  })
  return snapshotOf(index, chunks)
}

/** One of so many chunks that memory holds them only because they are all the same. */
export function largeAt(index: Index, chunkCount: number): Stored {
  const chunk = new Uint8Array(SNAPSHOT_CHUNK_BYTES).fill(1)
  const last = new Uint8Array(1_000).fill(1)
  return snapshotOf(
    index,
    Array.from({ length: chunkCount }, (_, at) => (at < chunkCount - 1 ? chunk : last))
  )
}

function snapshotOf(index: Index, chunks: readonly Uint8Array[]): Stored {
  const chunkCount = chunks.length
  const hashes = new Map<Uint8Array, Uint8Array>()
  const manifest = new Uint8Array(chunkCount * HASH_BYTES)
  chunks.forEach((chunk, position) => {
    const known = hashes.get(chunk) ?? hash(chunk)
    hashes.set(chunk, known)
    manifest.set(known, position * HASH_BYTES)
  })
  const byteCount = (chunkCount - 1) * SNAPSHOT_CHUNK_BYTES + 1_000
  const [chainHash, contentHash] = [hash(new Uint8Array([index])), hash(manifest)]
  return {
    info: { index, term: 2, chainHash, contentHash, byteCount, chunkCount },
    manifest,
    chunks
  }
}

/** The disk of a member: what survives its end. */
export class SnapshotDisk {
  stored: Stored[] = []
  incoming: { readonly info: SnapshotInfo; readonly chunks: (Uint8Array | null)[] } | null = null
}

/** What comes of a fetched snapshot. */
export type Prepared = Stored

export class MemorySnapshots implements Snapshots<Prepared> {
  /** false: the next one cannot be prepared */
  canPrepare = true
  /** chunks that turn out to be damaged when the next one is prepared */
  rotten: readonly number[] = []
  prepareMs = 50
  readMs = 1
  readonly #disk: SnapshotDisk
  readonly #time: VirtualTime

  constructor(disk: SnapshotDisk, time: VirtualTime) {
    this.#disk = disk
    this.#time = time
  }

  list(): readonly SnapshotInfo[] {
    return this.#disk.stored.map(({ info }) => info).toSorted((a, b) => b.index - a.index)
  }

  manifest(info: SnapshotInfo, onRead: (bytes: Uint8Array | null) => void): void {
    this.#time.start(this.readMs, () => onRead(this.#find(info)?.manifest ?? null))
  }

  chunk(info: SnapshotInfo, position: number, onRead: (bytes: Uint8Array | null) => void): void {
    assert(position < info.chunkCount, 'a chunk of the snapshot')
    this.#time.start(this.readMs, () => onRead(this.#find(info)?.chunks[position] ?? null))
  }

  receive(info: SnapshotInfo, manifest: Uint8Array): IncomingSnapshot<Prepared> | null {
    if (hexOf(hash(manifest)) !== hexOf(info.contentHash)) return null
    const disk = this.#disk
    if (
      disk.incoming === null ||
      hexOf(disk.incoming.info.contentHash) !== hexOf(info.contentHash)
    ) {
      disk.incoming = { info, chunks: Array.from({ length: info.chunkCount }, () => null) }
    }
    const incoming = disk.incoming
    const isHere = (): boolean => disk.incoming === incoming
    return {
      missing: () => [...incoming.chunks.keys()].filter((at) => incoming.chunks[at] === null),
      put: (position, bytes) => {
        assert(isHere(), 'nothing is put into what was discarded')
        assert(incoming.chunks[position] === null, 'a chunk is kept once')
        const wanted = manifest.subarray(position * HASH_BYTES, (position + 1) * HASH_BYTES)
        if (hexOf(hash(bytes)) !== hexOf(wanted)) return 'bad'
        incoming.chunks[position] = bytes.slice()
        return 'kept'
      },
      prepare: (onPrepared) => {
        const chunks = incoming.chunks.map((chunk) => present(chunk, 'a whole snapshot'))
        const rotten = this.rotten
        this.rotten = []
        this.#time.start(this.prepareMs, () => {
          for (const position of rotten) incoming.chunks[position] = null
          const isGood = this.canPrepare && rotten.length === 0
          onPrepared(isGood ? { info, manifest, chunks } : null)
        })
      },
      discard: () => {
        if (isHere()) disk.incoming = null
      }
    }
  }

  #find({ index, contentHash }: SnapshotInfo): Stored | null {
    const isIt = ({ info }: Stored): boolean =>
      info.index === index && hexOf(info.contentHash) === hexOf(contentHash)
    return this.#disk.stored.find(isIt) ?? null
  }
}

export class Member {
  readonly id: NodeId
  readonly disk: SnapshotDisk
  readonly snapshots: MemorySnapshots
  readonly transfer: SnapshotTransfer<Prepared>
  readonly prepared: Prepared[] = []
  readonly heard: { readonly from: NodeId; readonly request: SnapshotRequest }[] = []
  noneHereCount = 0
  logBase: Index = 0
  status: Pick<Status, 'role' | 'term' | 'leader' | 'commitIndex'> = {
    role: 'follower',
    term: 5,
    leader: 1,
    commitIndex: 0
  }

  constructor(id: NodeId, disk: SnapshotDisk, post: Post) {
    this.id = id
    this.disk = disk
    this.snapshots = new MemorySnapshots(disk, post.time)
    this.transfer = new SnapshotTransfer<Prepared>({
      clock: post.time,
      timers: post.time,
      ask: askOver((to, payload, onAnswer) => post.carry({ from: id, to, payload, onAnswer })),
      snapshots: this.snapshots,
      status: () => this.status,
      logBase: () => this.logBase,
      sources: () => post.linkedTo(id),
      onPrepared: (prepared) => void this.prepared.push(prepared),
      onServed: () => {},
      onNoneHere: () => void this.noneHereCount++
    })
  }

  chunksAskedOf(other: Member): number[] {
    return other.heard.flatMap(({ from, request }) =>
      from === this.id && request.kind === 'chunk' ? [request.position] : []
    )
  }
}

interface Parcel {
  readonly from: NodeId
  readonly to: NodeId
  readonly payload: Uint8Array
  readonly onAnswer: (answer: RequestAnswer) => void
}

export class Post {
  readonly time = new VirtualTime()
  readonly members = new Map<NodeId, Member>()
  /** one way */
  delayMs: () => number = () => 5
  /** what becomes of an answer on its way; null: it never comes */
  change: (from: NodeId, answer: SnapshotAnswer) => Uint8Array | 'lost' | null = (_from, answer) =>
    encode(snapshotAnswer, answer)
  readonly cuts = new Set<NodeId>()
  /** chunks that were asked for and not answered, at the most at one time */
  mostUnderWay = 0
  #underWay = 0
  readonly #pending = new Map<() => void, readonly NodeId[]>()

  start(id: NodeId, disk = new SnapshotDisk()): Member {
    const member = new Member(id, disk, this)
    this.members.set(id, member)
    return member
  }

  /** Ends a member: who waits for its answers has lost its link. */
  stop(member: Member): void {
    member.transfer.close()
    this.members.delete(member.id)
    this.cutOff(member.id)
    this.cuts.delete(member.id)
  }

  cutOff(id: NodeId): void {
    this.cuts.add(id)
    for (const [lose, ends] of this.#pending) if (ends.includes(id)) lose()
  }

  linkedTo(id: NodeId): NodeId[] {
    if (this.cuts.has(id)) return []
    return [...this.members.keys()].filter((other) => other !== id && !this.cuts.has(other))
  }

  carry({ from, to, payload, onAnswer }: Parcel): void {
    const request = decode(snapshotRequest, payload)
    if (!this.linkedTo(from).includes(to)) {
      this.time.soon(() => onAnswer({ kind: 'notSent', reason: 'noLink' }))
      return
    }
    if (request.kind === 'chunk') this.#underWay++
    this.mostUnderWay = Math.max(this.mostUnderWay, this.#underWay)
    const end = (answer: RequestAnswer): void => {
      if (!this.#pending.delete(lose)) return
      if (request.kind === 'chunk') this.#underWay--
      onAnswer(answer)
    }
    const lose = (): void => this.time.soon(() => end({ kind: 'lost' }))
    this.#pending.set(lose, [from, to])
    this.time.start(this.delayMs(), () => {
      const receiver = this.members.get(to)
      if (!this.#pending.has(lose) || receiver === undefined) return
      receiver.heard.push({ from, request })
      assert(isOfTransfer(request), 'a question of a transfer')
      receiver.transfer.onRequest(from, request, (answer) => {
        const changed = this.change(to, answer)
        if (changed === 'lost') lose()
        else if (changed !== null) {
          const onTime = (): void => end({ kind: 'answered', payload: changed })
          this.time.start(this.delayMs(), onTime)
        }
      })
    })
  }
}

export interface Cluster {
  readonly post: Post
  /** node 1, the leader of term 5 */
  readonly leader: Member
  /** node 2, a follower that has snapshots too */
  readonly other: Member
  /** node 3, which needs one */
  readonly receiver: Member
  readonly snapshot: Stored
}

/** The snapshot at index 100 is with the leader and one other. */
export function cluster(chunkCount = 40): Cluster {
  const post = new Post()
  const snapshot = snapshotAt(100, chunkCount)
  const [leader, other, receiver] = [post.start(1), post.start(2), post.start(3)]
  leader.status = { ...leader.status, role: 'leader' }
  leader.disk.stored.push(snapshot)
  other.disk.stored.push(snapshot)
  return { post, leader, other, receiver, snapshot }
}

/** The leader says what its core would: that `to` needs a snapshot. */
export function need(leader: Member, to: Member): void {
  leader.transfer.onSnapshotsNeeded([to.id])
}

/** Lets time pass; the leader's core finds the need anew with each heartbeat. */
export async function run({ post, leader, receiver }: Cluster, ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 150) {
    if (receiver.prepared.length === 0) need(leader, receiver)
    await post.time.run(150)
  }
}

export function isWhole(prepared: Prepared | undefined, { chunks }: Stored): boolean {
  if (prepared === undefined || prepared.chunks.length !== chunks.length) return false
  return prepared.chunks.every((chunk, at) => Buffer.compare(chunk, chunks[at] ?? EMPTY) === 0)
}

const EMPTY = new Uint8Array(0)

function isOfTransfer(
  request: SnapshotRequest
): request is Extract<SnapshotRequest, { kind: 'offer' | 'manifest' | 'chunk' }> {
  return request.kind === 'offer' || request.kind === 'manifest' || request.kind === 'chunk'
}
