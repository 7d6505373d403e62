// Whom a fetch asks next: the members that have answered well get more questions at once, those that are
// slow get fewer, and those that cannot help are left alone for a while. Nobody is left out for ever: a
// member that has no snapshot yet may have it soon, and a fetch that asks nobody never ends.

import { MAX_BAD_CHUNKS, MAX_SOURCE_CHUNKS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'

/** How a question to a source ended. */
export type AskEnd =
  | 'good'
  /** an answer that is none, or bytes with another hash */
  | 'bad'
  | 'notHere'
  | 'busy'
  /** no link, the link ended, or nothing came within the time */
  | 'lost'

interface Source {
  /** questions without an answer; those that were given up do not count */
  askedCount: number
  /** of which there may be so many; grows with each good answer, falls when one is lost */
  allowedCount: number
  /** since it was last left alone for bad answers */
  badCount: number
  /** asked again from then on */
  fromMs: number
  /** it has not what is wanted, or not as it should be */
  isUseless: boolean
}

export class SnapshotSources {
  readonly #sources = new Map<NodeId, Source>()

  /** The member of `ids` to ask now, the least busy of those that may be asked; null for none. */
  next(ids: readonly NodeId[], nowMs: number): NodeId | null {
    let best: { readonly id: NodeId; readonly askedCount: number } | null = null
    for (const id of ids) {
      const { askedCount, allowedCount, fromMs } = this.#of(id)
      if (askedCount >= allowedCount || fromMs > nowMs) continue
      if (best === null || askedCount < best.askedCount) best = { id, askedCount }
    }
    return best?.id ?? null
  }

  /** Whether there are members, and none of them has what is wanted. */
  areUseless(ids: readonly NodeId[], nowMs: number): boolean {
    const isUseless = (id: NodeId): boolean => {
      const source = this.#of(id)
      return source.isUseless && source.fromMs > nowMs
    }
    return ids.length > 0 && ids.every(isUseless)
  }

  onAsked(id: NodeId): void {
    this.#of(id).askedCount++
  }

  /** Call once per question, also for one that is given up. */
  onEnd(id: NodeId, end: AskEnd, nowMs: number): void {
    const source = this.#of(id)
    source.askedCount--
    if (end === 'good') {
      source.allowedCount = Math.min(source.allowedCount + 1, MAX_SOURCE_CHUNKS)
      return
    }
    if (end === 'bad' && ++source.badCount < MAX_BAD_CHUNKS) return
    source.badCount = 0
    source.allowedCount = Math.max(1, source.allowedCount >> 1)
    source.fromMs = nowMs + PAUSE_MS[end]
    source.isUseless = end === 'bad' || end === 'notHere'
  }

  #of(id: NodeId): Source {
    const found = this.#sources.get(id)
    if (found !== undefined) return found
    const source: Source = {
      askedCount: 0,
      allowedCount: FIRST_ALLOWED,
      badCount: 0,
      fromMs: 0,
      isUseless: false
    }
    this.#sources.set(id, source)
    return source
  }
}

/** Questions to a member of which nothing is known yet. */
const FIRST_ALLOWED = 2

/** For how long a member is left alone. */
const PAUSE_MS: Readonly<Record<Exclude<AskEnd, 'good'>, number>> = {
  bad: 60_000,
  notHere: 5_000,
  busy: 1_000,
  lost: 1_000
}
