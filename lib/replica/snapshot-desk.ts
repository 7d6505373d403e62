// Takes what comes over `aspen/snapshot` to whom it is for.

import { unreachable } from '../assert.ts'
import { decode, encode } from '../encoding.ts'
import { AspenError, ProtocolError } from '../errors.ts'
import type { LogStore } from '../log-store/log-store.ts'
import type { NodeId } from '../node-id.ts'
import type { Index } from '../raft/entry.ts'
import type { SnapshotInfo } from '../state-machine/state-machine.ts'
import type { SnapshotAnswer, SnapshotRequest } from './encoding.ts'
import { snapshotAnswer, snapshotRequest } from './encoding.ts'
import type { VerdictSource } from './log-verdict.ts'
import { entryAnswer, giveVerdict } from './log-verdict.ts'
import type { SnapshotTransfer } from './snapshot-transfer.ts'

export interface SnapshotDeskParts {
  readonly log: Pick<LogStore, 'entries' | 'idAt'>
  readonly transfer: Pick<SnapshotTransfer<unknown>, 'onRequest'>
  readonly verdicts: VerdictSource
  /** of this node */
  readonly snapshots: { list(): readonly SnapshotInfo[] }
  /** one without a state needs a snapshot, and there is none here that helps */
  readonly onNoneHere: () => void
  /** the own log turned out to be damaged, as nobody knew */
  readonly onFailed: (error: AspenError) => void
}

export class SnapshotDesk {
  readonly #parts: SnapshotDeskParts

  constructor(parts: SnapshotDeskParts) {
    this.#parts = parts
  }

  /** `TransportHandlers.onSnapshotRequest`; `answer` is called at most once. */
  onRequest(from: NodeId, payload: Uint8Array, answer: (payload: Uint8Array) => void): void {
    const send = (value: SnapshotAnswer): void => answer(encode(snapshotAnswer, value))
    const request = decodeRequest(payload)
    if (request === null) send({ kind: 'notHere' })
    else this.#handle(from, request, send)
  }

  #handle(from: NodeId, request: SnapshotRequest, send: (answer: SnapshotAnswer) => void): void {
    const { transfer, verdicts, snapshots } = this.#parts
    switch (request.kind) {
      case 'offer':
      case 'manifest':
      case 'chunk':
        transfer.onRequest(from, request, send)
        return
      case 'entry':
        this.#sendEntry(request, send)
        return
      case 'verdict':
        giveVerdict(verdicts, request, send)
        return
      case 'digest':
        send(digestOf(snapshots.list(), request.index))
        return
      case 'newest':
        this.#sendNewest(request.index, send)
        return
      default:
        unreachable(request)
    }
  }

  #sendNewest(index: Index, send: (answer: SnapshotAnswer) => void): void {
    const { snapshots, onNoneHere } = this.#parts
    const [newest] = snapshots.list()
    const isOfUse = newest !== undefined && newest.index >= index
    send(isOfUse ? { kind: 'snapshot', snapshot: newest } : { kind: 'notHere' })
    if (!isOfUse) onNoneHere()
  }

  #sendEntry(
    request: Extract<SnapshotRequest, { kind: 'entry' }>,
    send: (answer: SnapshotAnswer) => void
  ): void {
    const { log, onFailed } = this.#parts
    let answer: SnapshotAnswer
    try {
      answer = entryAnswer(log, request)
    } catch (error) {
      if (!(error instanceof AspenError)) throw error
      onFailed(error)
      return
    }
    send(answer)
  }
}

function digestOf(snapshots: readonly SnapshotInfo[], index: Index): SnapshotAnswer {
  const found = snapshots.find((each) => each.index === index)
  if (found === undefined) return { kind: 'notHere' }
  return { kind: 'digest', contentHash: found.contentHash }
}

/** Null for bytes that no member sends. */
function decodeRequest(payload: Uint8Array): SnapshotRequest | null {
  try {
    return decode(snapshotRequest, payload)
  } catch (error) {
    if (error instanceof ProtocolError) return null
    throw error
  }
}
