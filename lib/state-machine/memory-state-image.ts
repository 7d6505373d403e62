// The whole state of a machine in memory as of some entry, and its snapshot.

import b4a from 'b4a'
import { present } from '../assert.ts'
import { ProtocolError } from '../errors.ts'
import { REVISION_STRIDE } from '../limits.ts'
import { liveRowOf, snapshotKeyOf } from './memory-rows.ts'
import type { LiveRow, RowsImage } from './memory-rows.ts'
import type { Session, StoredSessions } from './sessions.ts'
import type { SnapshotHead, SnapshotKey, SnapshotRow } from './snapshot-encoding.ts'
import { SnapshotReader, SnapshotWriter } from './snapshot-stream.ts'
import type { StreamTotals } from './snapshot-stream.ts'
import { EMPTY_CONTENT, contentWith, isSameContent, rowHash } from './state-hash.ts'
import type { Applied, Content, Invite, NodeRecord, RemovedNode } from './state-machine.ts'
import type { TrustState } from './state-machine.ts'

/** Nothing in it ever changes. */
export interface StateImage {
  readonly genesisHash: Uint8Array
  readonly applied: Applied
  readonly trust: TrustState
  readonly rows: RowsImage
  readonly sessions: StoredSessions
}

/** The stream of a state, whole. */
export function encodeImage(image: StateImage): StreamTotals & {
  readonly chunks: readonly Uint8Array[]
} {
  const { genesisHash, applied, trust, rows, sessions } = image
  const chunks: Uint8Array[] = []
  const writer = new SnapshotWriter((chunk) => chunks.push(chunk.slice()))
  const { epoch, nextNodeId, nodes, invites, removed } = trust
  const { forgottenIndex } = sessions
  writer.add({ kind: 'head', genesisHash, applied, epoch, nextNodeId, forgottenIndex })
  for (const node of nodes) writer.add({ kind: 'node', node })
  for (const each of removed) writer.add({ kind: 'removed', removed: each })
  for (const invite of invites) writer.add({ kind: 'invite', invite })
  for (const session of sessions.sessions.toSorted((a, b) => a.bornIndex - b.bornIndex))
    writer.add({ kind: 'session', session })
  for (const row of rows.history.slice(0, rows.historyCount)) writer.add({ kind: 'row', ...row })
  for (const row of rows.live) writer.add({ kind: 'key', ...snapshotKeyOf(row) })
  return { ...writer.end(), chunks }
}

/**
 * The state of a stream.
 * @throws ProtocolError when it is not one, or its rows are not what its head says
 */
export function decodeImage(chunks: Iterable<Uint8Array>): StateImage {
  const parts = new ImageParts()
  const reader = new SnapshotReader()
  for (const chunk of chunks) {
    // what is read are views, and these chunks are somebody's
    for (const each of reader.push(chunk.slice())) {
      if (each.kind === 'head') parts.head = each
      if (each.kind === 'node') parts.nodes.push(each.node)
      if (each.kind === 'removed') parts.removed.push(each.removed)
      if (each.kind === 'invite') parts.invites.push(each.invite)
      if (each.kind === 'session') parts.sessions.push(each.session)
      if (each.kind === 'row') parts.addRow(each)
      if (each.kind === 'key') parts.addKey(each)
    }
  }
  reader.end()
  return parts.whole()
}

class ImageParts {
  head: SnapshotHead | null = null
  readonly nodes: NodeRecord[] = []
  readonly removed: RemovedNode[] = []
  readonly invites: Invite[] = []
  readonly sessions: Session[] = []
  readonly #history: SnapshotRow[] = []
  readonly #byId = new Map<number, SnapshotRow>()
  readonly #live: LiveRow[] = []
  #content: Content = EMPTY_CONTENT

  addRow(each: SnapshotRow): void {
    const { revision, ordinal, supersededRevision, supersededOrdinal } = each
    const { createRevision, version, key, value } = each
    const row = {
      revision,
      ordinal,
      supersededRevision,
      supersededOrdinal,
      createRevision,
      version,
      key,
      value
    }
    this.#history.push(row)
    this.#byId.set(revision * REVISION_STRIDE + ordinal, row)
  }

  addKey(each: SnapshotKey): void {
    const row = this.#byId.get(each.revision * REVISION_STRIDE + each.ordinal)
    if (row === undefined || row.value === null) throw new ProtocolError('a key has no row')
    const live = liveRowOf({ ...each, key: row.key }, row.value)
    const isSame =
      b4a.equals(each.key, row.key) &&
      each.createRevision === row.createRevision &&
      each.version === row.version &&
      each.valueBytes === row.value.byteLength &&
      b4a.equals(each.hash, rowHash(live))
    if (!isSame) throw new ProtocolError('a key is not what its row says')
    this.#live.push(live)
    this.#content = contentWith(this.#content, each.hash, each.key.byteLength + each.valueBytes)
  }

  whole(): StateImage {
    const { genesisHash, applied, epoch, nextNodeId, forgottenIndex } = present(this.head, 'a head')
    const { nodes, invites, removed } = this
    if (!isSameContent(this.#content, applied))
      throw new ProtocolError('the rows of a snapshot are not what its state hash says')
    const history = this.#history
    return {
      genesisHash,
      applied,
      trust: { epoch, nextNodeId, nodes, invites, removed },
      rows: { live: this.#live, history, historyCount: history.length },
      sessions: { sessions: this.sessions, forgottenIndex }
    }
  }
}
