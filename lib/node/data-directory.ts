// The folder of one node: identity, what cluster it belongs to, its stores, its lock. Private to its
// user (0700, files 0600); one process at a time.
//
//   node.key       hex of the 32-byte seed of the node's key pair; durable before the first join request
//   node.json      which cluster, which id, how far `create` or `join` came (membership.ts)
//   peers.json     where members were last reached; hints, may be deleted
//   guard.json     what this node remembers of other members, against those that forget (guard-file.ts)
//   log/           the Raft log (lmdb)
//   state/         the state machine (SQLite): <index of the snapshot it was built from>.db; can be rebuilt
//                  from a snapshot and the log
//   snapshots/     snapshots, made here or fetched
//   lost-…/        a node that `aspen recover` gave up; it never starts again (recovering.ts)
//   lock.db        held by the running node; released by the kernel when it dies
//   api.token      bearer token of the TCP API
//   aspen.sock     the Unix socket of the API
//   runtime.json   pid and API addresses of the running node
//   aspen.log      log of a node in the background

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { OnBoundary } from '../boundary.ts'
import type { KeyPair } from '../crypto.ts'
import { keyPairFromSeed, SEED_BYTES } from '../crypto.ts'
import { bytesFromHex, hexOf } from '../encoding.ts'
import { ConfigError, diskCodeOf, StorageError, systemReason } from '../errors.ts'
import { LOCK_WAIT_MS } from '../limits.ts'
import type { Random } from '../random.ts'
import { randomBytes } from '../random.ts'
import { acquireLock } from '../state-machine/sqlite-lock.ts'
import { readJson } from '../config/places.ts'

/** Whether a process holds the directory's lock. */
export function isLocked(dataDir: string): boolean {
  if (!existsSync(lockPath(dataDir))) return false
  try {
    acquireLock(lockPath(dataDir)).release()
    return false
  } catch (error) {
    if (error instanceof StorageError && error.code === 'LOCKED') return true
    throw error
  }
}

function lockPath(dataDir: string): string {
  return join(dataDir, 'lock.db')
}

/** The folder, made if need be, private, writable and locked by this process. @throws as DataDirectory.open */
export function lockFolder(path: string): { release(): void } {
  makePrivate(path)
  return acquireLock(lockPath(path), LOCK_WAIT_MS)
}

/** A folder of that kind. */
export class DataDirectory {
  readonly path: string
  readonly #lock: { release(): void }
  /** for whatever else is made durable in it */
  readonly onBoundary: OnBoundary | undefined

  protected constructor(
    path: string,
    lock: { release(): void },
    onBoundary: OnBoundary | undefined
  ) {
    this.path = path
    this.#lock = lock
    this.onBoundary = onBoundary
  }

  /** @throws ConfigError DATA_DIR_UNUSABLE; StorageError LOCKED */
  static open(path: string, onBoundary?: OnBoundary): DataDirectory {
    return new DataDirectory(path, lockFolder(path), onBoundary)
  }

  /** Whether what is written here is gone with the process; the locks and sockets of it are files all the same. */
  get isEphemeral(): boolean {
    return false
  }

  get logDir(): string {
    return join(this.path, 'log')
  }

  get stateDir(): string {
    return join(this.path, 'state')
  }

  get snapshotsDir(): string {
    return join(this.path, 'snapshots')
  }

  get hasLog(): boolean {
    return existsSync(this.logDir)
  }

  /** The node's key pair; made and durable on the first call. */
  keyPair(random: Random): KeyPair {
    const path = join(this.path, 'node.key')
    if (!existsSync(path)) {
      this.#writeDurably('node.key', `${hexOf(randomBytes(random, SEED_BYTES))}\n`)
    }
    return this.readKeyPair()
  }

  /** The node's key pair, which is there. @throws ConfigError DATA_DIR_UNUSABLE */
  readKeyPair(): KeyPair {
    const path = join(this.path, 'node.key')
    const seed = bytesFromHex(readText(path).trim(), SEED_BYTES)
    if (seed !== null) return keyPairFromSeed(seed)
    throw unusable(
      `${path} is not a node key`,
      'restore it from where you kept it, or join as a new node'
    )
  }

  get hasKey(): boolean {
    return existsSync(join(this.path, 'node.key'))
  }

  /** The bearer token of the TCP API; made when there is none, or what is there is none. */
  apiToken(random: Random): string {
    const path = join(this.path, 'api.token')
    const known = existsSync(path) ? readText(path).trim() : ''
    if (bytesFromHex(known, TOKEN_BYTES) !== null) return known
    const token = hexOf(randomBytes(random, TOKEN_BYTES))
    this.#writeDurably('api.token', `${token}\n`)
    return token
  }

  hasJson(name: JsonFile): boolean {
    return existsSync(join(this.path, name))
  }

  /** A JSON file of the directory, or null when it is not there or cannot be read. */
  readJson(name: JsonFile): unknown {
    return readJson(join(this.path, name))
  }

  /** @throws StorageError NO_SPACE, IO_ERROR */
  writeJson(name: Exclude<JsonFile, 'peers.json'>, value: object): void {
    this.#writeDurably(name, textOfJson(value))
  }

  /** Written without waiting for the disk: whole or the old one, and lost with the power. @throws as writeJson */
  writeHint(name: 'peers.json', value: object): void {
    const onStep = (step: Step): void => {
      if (step === 'written' || step === 'renamed') this.onBoundary?.(`file.${name}.${step}`)
    }
    replaceFile(join(this.path, name), { text: textOfJson(value), isDurable: false, onStep })
  }

  removeRuntime(): void {
    rmSync(join(this.path, 'runtime.json'), { force: true })
  }

  close(): void {
    this.#lock.release()
  }

  /** After a crash the file is the old or the new one, and after the call the new one. */
  #writeDurably(name: DurableFile, text: string): void {
    const onStep = (step: Step): void => this.onBoundary?.(`file.${name}.${step}`)
    replaceFile(join(this.path, name), { text, isDurable: true, onStep })
  }
}

export type JsonFile = 'node.json' | 'peers.json' | 'runtime.json'

function makePrivate(path: string): void {
  try {
    makeFolders(path)
    const { mode } = statSync(path)
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw unusable(
        `others may read or write ${path} (mode ${(mode & 0o777).toString(8)})`,
        `chmod 700 ${path}`
      )
    }
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
    probeWrite(path)
  } catch (error) {
    if (error instanceof ConfigError) throw error
    // a disk that is full, read-only or broken, whatever the folder is
    if (diskCodeOf(error) !== null) throw writeFailed(path, error)
    throw unusable(
      `${path} cannot be used: ${systemReason(error)}`,
      'name another folder with --data-dir',
      error
    )
  }
}

/**
 * The folder and those above it, for this user only. Not `recursive: true`: Node 20 never comes back
 * from that where a folder cannot be made, as in /proc.
 */
export function makeFolders(path: string): void {
  if (existsSync(path)) return
  const parent = dirname(path)
  if (parent !== path) makeFolders(parent)
  mkdirSync(path, { mode: 0o700 })
  // what is made durable in it is lost with its own name
  withFile(parent, 'r', fsyncSync)
}

/** Permission bits do not tell of a read-only file system, and the superuser passes all of them. */
function probeWrite(path: string): void {
  const probe = join(path, '.probe')
  closeSync(openSync(probe, 'w', 0o600))
  rmSync(probe)
}

function unusable(message: string, hint: string, cause?: unknown): ConfigError {
  return new ConfigError({ code: 'DATA_DIR_UNUSABLE', message, hint }, { cause })
}

const TOKEN_BYTES = 32

/** @throws StorageError JsonSerialize */
function textOfJson(value: object): string {
  try {
    return `${JSON.stringify(value, null, 2)}\n`
  } catch (error) {
    const [why = ''] = systemReason(error).split('\n', 1)
    const message = `a file of the data directory has no JSON form: ${why}`
    throw new StorageError(
      { code: 'FAILED', message, fields: { variant: 'JsonSerialize' } },
      { cause: error }
    )
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw unusable(`${path} cannot be read: ${systemReason(error)}`, 'see who owns it', error)
  }
}

type DurableFile = Exclude<JsonFile, 'peers.json'> | 'node.key' | 'api.token'
type Step = 'written' | 'synced' | 'renamed' | 'durable'

interface Replacement {
  readonly text: string
  readonly isDurable: boolean
  readonly onStep: (step: Step) => void
}

/** Temporary file, fsync, rename, fsync of the folder. */
function replaceFile(path: string, { text, isDurable, onStep }: Replacement): void {
  const temporary = `${path}.tmp`
  try {
    withFile(temporary, 'w', (file) => {
      writeFileSync(file, text)
      onStep('written')
      if (!isDurable) return
      fsyncSync(file)
      onStep('synced')
    })
    renameSync(temporary, path)
    onStep('renamed')
    if (!isDurable) return
    withFile(dirname(path), 'r', fsyncSync)
    onStep('durable')
  } catch (error) {
    throw writeFailed(path, error)
  }
}

function withFile(path: string, flags: 'r' | 'w', use: (file: number) => void): void {
  const file = openSync(path, flags, 0o600)
  try {
    use(file)
  } finally {
    closeSync(file)
  }
}

function writeFailed(path: string, error: unknown): StorageError {
  const code = diskCodeOf(error) ?? 'IO_ERROR'
  const message = `cannot write ${path}: ${systemReason(error)}`
  const hint =
    code === 'NO_SPACE'
      ? 'free some space on that disk, then try again'
      : "look at the system's log for faults of that disk"
  return new StorageError({ code, message, hint }, { cause: error })
}
