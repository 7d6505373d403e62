// Backups of what this node holds, as a stream of bytes: first a read is confirmed, so that nothing that was
// acknowledged before is missing; then the state is written down as of one entry, and handed out as slowly
// as it is taken.

import { ConfigError, KeyValueStoreError } from '../errors.ts'
import { MAX_BACKUPS } from '../limits.ts'
import type { Forwarder } from './forwarding.ts'
import { timeoutOf } from './request-timeout.ts'
import type { Backup, ReadOptions } from './node-api.ts'

/** Where backups come from. */
export interface BackupSource {
  /** A backup as of what is applied when it is called, or later. @throws AspenError */
  make(): Promise<Backup>
}

export class Backups {
  readonly #forwarder: Pick<Forwarder, 'confirmRead' | 'checkOpen'>
  readonly #source: BackupSource | null
  #count = 0

  /** `source`: null where nothing is on a disk */
  constructor(
    forwarder: Pick<Forwarder, 'confirmRead' | 'checkOpen'>,
    source: BackupSource | null
  ) {
    this.#forwarder = forwarder
    this.#source = source
  }

  /** The caller closes it. @throws KeyValueStoreError OVERLOADED, UNAVAILABLE; what the source throws */
  async make(options: ReadOptions = {}): Promise<Backup> {
    const timeoutMs = timeoutOf(options)
    if (this.#source === null) throw noSource()
    if (this.#count >= MAX_BACKUPS) throw overloaded()
    this.#count++
    try {
      if (options.consistency === 'stale') this.#forwarder.checkOpen()
      else await this.#forwarder.confirmRead(timeoutMs)
      return this.#counted(await this.#source.make())
    } catch (error) {
      this.#count--
      throw error
    }
  }

  /** It counts until it is closed. */
  #counted(backup: Backup): Backup {
    let isClosed = false
    const close = async (): Promise<void> => {
      if (isClosed) return
      isClosed = true
      this.#count--
      await backup.close()
    }
    return { ...backup, close }
  }
}

function noSource(): ConfigError {
  return new ConfigError({
    code: 'INVALID_REQUEST',
    message: 'a node that keeps everything in memory makes no backups',
    hint: 'ask a member that keeps its state on the disk'
  })
}

function overloaded(): KeyValueStoreError {
  return new KeyValueStoreError({
    code: 'OVERLOADED',
    message: `${MAX_BACKUPS} backups of this node are being taken`,
    hint: 'wait until one is done, or ask another node'
  })
}
