// The stream of one cluster's backup as the first state of another cluster: the same keys, values and revisions
// behind another genesis, and nobody who may come in yet.

import { closeSync, openSync } from 'node:fs'
import { hash, namespace } from '../crypto.ts'
import type { Configuration } from '../raft/configuration.ts'
import type { EntryId } from '../raft/entry.ts'
import type { BackupHeader } from './backup-encoding.ts'
import type { SnapshotHead, SnapshotRecord } from './snapshot-encoding.ts'
import { writeAll } from './snapshot-files.ts'
import type { Manifested } from './snapshot-files.ts'
import { SnapshotWriter } from './snapshot-stream.ts'
import { EMPTY_TRUST } from './trust.ts'

/** Where the log of the new cluster begins. */
export interface NewBase {
  readonly genesis: EntryId
  /** what precedes its first entry */
  readonly id: EntryId
  /** in force there */
  readonly configuration: Configuration
}

const BASE_NAMESPACE = namespace('restored-base/1')

/** Revisions go on above those of the backup; the hash follows from both clusters. */
export function newBaseId(genesis: EntryId, { index, term, contentHash }: BackupHeader): EntryId {
  return { index, term, hash: hash(BASE_NAMESPACE, genesis.hash, contentHash) }
}

/** Writes the new stream to a file while the records of the old one come. */
export class Rebasing {
  readonly #base: NewBase
  readonly #file: number
  readonly #writer: SnapshotWriter
  #isOpen = true

  constructor(path: string, base: NewBase) {
    this.#base = base
    this.#file = openSync(path, 'w', 0o600)
    this.#writer = new SnapshotWriter((chunk) => writeAll(this.#file, chunk))
  }

  add(each: SnapshotRecord): void {
    if (each.kind === 'head') this.#writer.add({ kind: 'head', ...this.#headFrom(each) })
    else if (each.kind === 'row' || each.kind === 'key') this.#writer.add(each)
  }

  /** The old stream was whole. */
  end(): Manifested {
    const { manifest, ...totals } = this.#writer.end()
    this.close()
    const { index, term, hash: chainHash } = this.#base.id
    return { info: { index, term, chainHash, ...totals }, manifest }
  }

  close(): void {
    if (this.#isOpen) closeSync(this.#file)
    this.#isOpen = false
  }

  #headFrom({ applied }: SnapshotHead): SnapshotHead {
    const { genesis, id, configuration } = this.#base
    const { epoch, nextNodeId } = EMPTY_TRUST
    const at = { ...id, configuration, configurationIndex: id.index }
    return {
      genesisHash: genesis.hash,
      // its only voter is its first
      applied: { ...applied, ...at, votersChangedMs: 0 },
      epoch,
      nextNodeId,
      // requests of clients of the old cluster are no requests of this one
      forgottenIndex: id.index
    }
  }
}
