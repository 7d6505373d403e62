// The folder of a node that keeps everything in memory: its key, and what belongs to a cluster, are never
// written down, so that nothing in it can be taken for a member later. What other commands need while it
// runs is there as always: the lock, the socket, the token, the runtime file, the log of the process.

import { present } from '../assert.ts'
import type { OnBoundary } from '../boundary.ts'
import { systemTimers } from '../clock.ts'
import type { Memories, MemoryStore } from '../cluster/guard-keeper.ts'
import type { KeyPair } from '../crypto.ts'
import { keyPairFromSeed, SEED_BYTES } from '../crypto.ts'
import { ConfigError } from '../errors.ts'
import type { Random } from '../random.ts'
import { randomBytes } from '../random.ts'
import type { JsonFile } from './data-directory.ts'
import { DataDirectory, lockFolder } from './data-directory.ts'

export class EphemeralDirectory extends DataDirectory {
  #keyPair: KeyPair | null = null
  /** in place of the files that say who the node is */
  readonly #json = new Map<JsonFile, object>()

  /** @throws ConfigError DATA_DIR_UNUSABLE; DATA_DIR_TAKEN where a node lives; StorageError LOCKED */
  static override open(path: string, onBoundary?: OnBoundary): EphemeralDirectory {
    const directory = new EphemeralDirectory(path, lockFolder(path), onBoundary)
    try {
      directory.#checkNoNodeHere()
    } catch (error) {
      directory.close()
      throw error
    }
    return directory
  }

  #checkNoNodeHere(): void {
    if (super.hasKey || super.hasLog || super.hasJson('node.json')) throw nodeHere(this.path)
  }

  override get isEphemeral(): boolean {
    return true
  }

  override get hasLog(): boolean {
    return false
  }

  override get hasKey(): boolean {
    return this.#keyPair !== null
  }

  override keyPair(random: Random): KeyPair {
    this.#keyPair ??= keyPairFromSeed(randomBytes(random, SEED_BYTES))
    return this.#keyPair
  }

  override readKeyPair(): KeyPair {
    return present(this.#keyPair, 'the key of this process')
  }

  override hasJson(name: JsonFile): boolean {
    return isOfProcess(name) ? super.hasJson(name) : this.#json.has(name)
  }

  override readJson(name: JsonFile): unknown {
    return isOfProcess(name) ? super.readJson(name) : (this.#json.get(name) ?? null)
  }

  override writeJson(name: Exclude<JsonFile, 'peers.json'>, value: object): void {
    if (isOfProcess(name)) super.writeJson(name, value)
    else this.#json.set(name, value)
  }

  override writeHint(name: 'peers.json', value: object): void {
    this.#json.set(name, value)
  }
}

function nodeHere(path: string): ConfigError {
  return new ConfigError({
    code: 'DATA_DIR_TAKEN',
    message: `${path} belongs to a node that keeps its log on the disk`,
    hint: 'leave out the storage backend inmemory, or name another folder with --name or --data-dir'
  })
}

/** True for what the folder says of the process that runs, and of nothing that outlives it. */
function isOfProcess(name: JsonFile): boolean {
  return name === 'runtime.json'
}

/** What such a node remembers of the others, for as long as it lives. */
export class EphemeralMemories implements MemoryStore {
  readonly found: Memories = new Map()

  save(_memories: Memories, onEnd: (isSaved: boolean) => void): void {
    systemTimers.soon(() => onEnd(true))
  }
}
