// Keeps the memories of the amnesia guard: from hellos that were verified, and from what followers
// acknowledge to this node while it leads; on the disk within GUARD_SAVE_MS, and when the node closes.
// What a power cut or a kill takes in between is a window in which less is demanded of the others.

import type { Timer, Timers } from '../clock.ts'
import { hexOf } from '../encoding.ts'
import type { ErrorDetail } from '../errors.ts'
import { GUARD_SAVE_MS, MAX_PEERS } from '../limits.ts'
import type { Status } from '../raft/effects.ts'
import type { OwnHello } from '../transport/transport.ts'
import type { Memory } from './amnesia-guard.ts'
import { acknowledged, refusalOf, remember } from './amnesia-guard.ts'

/** By hex of the public key, the one heard of longest ago first. */
export type Memories = ReadonlyMap<string, Memory>

/** Where memories outlive the process. */
export interface MemoryStore {
  /** what was saved last; nothing where it cannot be read */
  readonly found: Memories
  /** Calls back whether it is durable, never synchronously; one at a time. */
  save(memories: Memories, onEnd: (isSaved: boolean) => void): void
}

export interface GuardKeeperParts {
  readonly timers: Timers
  readonly store: MemoryStore
  readonly status: () => Status
  readonly links: () => readonly { readonly publicKey: Uint8Array }[]
}

export class GuardKeeper {
  readonly #parts: GuardKeeperParts
  readonly #memories: Map<string, Memory>
  #isDirty = false
  #isSaving = false
  #timer: Timer | null = null
  #isClosed = false
  #onIdle: () => void = () => {}

  constructor(parts: GuardKeeperParts) {
    this.#parts = parts
    this.#memories = new Map(parts.store.found)
  }

  /** Why the process behind a hello is not let in; null when it is. */
  refusalOf(publicKey: Uint8Array, hello: OwnHello): ErrorDetail | null {
    this.collect()
    const key = hexOf(publicKey)
    const { links, status } = this.#parts
    const { members, outgoing } = status().configuration
    const member = members.find((one) => hexOf(one.publicKey) === key)
    const standing = {
      isLinked: links().some((link) => hexOf(link.publicKey) === key),
      isVoter: member !== undefined && (member.role === 'voter' || outgoing.includes(member.id))
    }
    return refusalOf(this.#memories.get(key), claimOf(hello), standing)
  }

  /** The hello was verified, and its process is let in. */
  onVerified(publicKey: Uint8Array, hello: OwnHello): void {
    const key = hexOf(publicKey)
    const before = this.#memories.get(key)
    this.#set(key, remember(before, claimOf(hello)))
    const [oldest] = this.#memories.keys()
    if (this.#memories.size > MAX_PEERS && oldest !== undefined) this.#memories.delete(oldest)
  }

  /** Call while this node leads, whenever something was acknowledged. */
  collect(): void {
    const { role, term, progress, configuration } = this.#parts.status()
    if (role !== 'leader') return
    for (const { id, publicKey } of configuration.members) {
      const key = hexOf(publicKey)
      const memory = this.#memories.get(key)
      const matchIndex = progress.get(id)?.matchIndex ?? 0
      if (memory !== undefined && matchIndex > 0) {
        this.#set(key, acknowledged(memory, term, matchIndex))
      }
    }
  }

  /** Resolves when what is known is saved, or cannot be. May be called twice. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#whenIdle()
    if (!this.#isDirty) return
    this.#save()
    await this.#whenIdle()
  }

  #set(key: string, memory: Memory): void {
    if (isSame(this.#memories.get(key), memory)) return
    this.#memories.delete(key)
    this.#memories.set(key, memory)
    this.#isDirty = true
    this.#saveLater()
  }

  #saveLater(): void {
    if (this.#timer !== null || this.#isSaving || this.#isClosed) return
    this.#timer = this.#parts.timers.start(GUARD_SAVE_MS, () => {
      this.#timer = null
      this.#save()
    })
  }

  #save(): void {
    this.#isSaving = true
    this.#isDirty = false
    this.#parts.store.save(new Map(this.#memories), (isSaved) => {
      this.#isSaving = false
      this.#isDirty ||= !isSaved
      this.#onIdle()
      if (this.#isDirty) this.#saveLater()
    })
  }

  #whenIdle(): Promise<void> {
    if (!this.#isSaving) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onIdle = resolve
    })
  }
}

function claimOf(hello: OwnHello) {
  const { boot, durableTerm, lastIndex } = hello
  const [instance, storageEpoch] = [hexOf(hello.instance), hexOf(hello.storageEpoch)]
  return { boot, instance, storageEpoch, durableTerm, lastIndex }
}

function isSame(a: Memory | undefined, b: Memory): boolean {
  return (
    a?.boot === b.boot &&
    a.instance === b.instance &&
    a.storageEpoch === b.storageEpoch &&
    a.saidTerm === b.saidTerm &&
    a.term === b.term &&
    a.index === b.index
  )
}
