// Where a node lives on this machine, and what its process tells the commands beside it. Apart from
// data-directory.ts, which opens and locks that place, so that a command which only talks to a running
// node does not load a database.

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { MAX_NAME_SIZE } from '../limits.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Where a node lives when nobody says: a folder named like it under the platform's data directory. */
export function defaultDataDir(name: string | null, env: Environment): string {
  return join(platformDataDir(env), 'aspen', name ?? 'default')
}

/** The names of the nodes that live where `defaultDataDir` says, in order; `default` is one. */
export function nodesHere(env: Environment): readonly string[] {
  const folder = join(platformDataDir(env), 'aspen')
  try {
    const names = readdirSync(folder).toSorted()
    return names
      .filter((name) => nameProblem(name) === null && existsSync(join(folder, name, 'node.json')))
      .slice(0, MAX_NODES_NAMED)
  } catch {
    return [] // no such folder, or not ours
  }
}

/** A machine with more nodes than this is named the first ones. */
const MAX_NODES_NAMED = 8

function platformDataDir(env: Environment): string {
  if (env['XDG_DATA_HOME'] !== undefined && env['XDG_DATA_HOME'] !== '') return env['XDG_DATA_HOME']
  const home = env['HOME'] ?? homedir()
  if (process.platform === 'darwin') return join(home, 'Library', 'Application Support')
  if (process.platform === 'win32') return env['LOCALAPPDATA'] ?? join(home, 'AppData', 'Local')
  return join(home, '.local', 'share')
}

/** What a name may be: it is a folder's name and is shown to people. Null when it is fine. */
export function nameProblem(name: string): string | null {
  if (Buffer.byteLength(name) > MAX_NAME_SIZE) return `a name has at most ${MAX_NAME_SIZE} bytes`
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
    return 'a name has letters, digits, dots, dashes and underscores, and begins with a letter or digit'
  }
  return null
}

/** What the running node tells commands on the same machine. */
export interface Runtime {
  readonly pid: number
  readonly socket: string
  /** empty while there is no API */
  readonly http: string
  /** its storage is damaged: it is put together again before the node runs */
  readonly isRepairing: boolean
}

/** The runtime file, or null when there is none or it cannot be read. Says nothing of the process. */
export function readRuntime(dataDir: string): Runtime | null {
  const value = readJson(join(dataDir, 'runtime.json'))
  if (typeof value !== 'object' || value === null) return null
  const { pid, socket, http } = value as Partial<Runtime>
  const isRepairing = 'is_repairing' in value && value.is_repairing === true
  if (typeof pid !== 'number' || typeof socket !== 'string' || typeof http !== 'string') return null
  return { pid, socket, http, isRepairing }
}

/** What node.json says of how far the node is (membership.ts); null where it says nothing. */
export function readState(dataDir: string): string | null {
  const value = readJson(join(dataDir, 'node.json'))
  if (typeof value !== 'object' || value === null || !('state' in value)) return null
  return typeof value.state === 'string' ? value.state : null
}

/** A Unix socket's path has at most about 100 bytes everywhere; a longer one moves to the runtime directory. */
export function socketPathOf(dataDir: string, env: Environment = process.env): string {
  const path = join(dataDir, 'aspen.sock')
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return path
  const digest = createHash('sha256').update(path).digest('hex').slice(0, SOCKET_DIGEST_DIGITS)
  return join(env['XDG_RUNTIME_DIR'] ?? tmpdir(), `aspen-${digest}.sock`)
}

const MAX_SOCKET_PATH_BYTES = 100
const SOCKET_DIGEST_DIGITS = 24

/** The file as JSON, or null when it is not there or cannot be read. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return null
  }
}
