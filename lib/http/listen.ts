// Taking the two places where the API listens: the socket file and the TCP port.

import { connect } from 'node:net'
import type { Server } from 'node:net'
import { lstatSync, unlinkSync } from 'node:fs'
import { AspenError, ConfigError, StorageError, TransportError } from '../errors.ts'

export interface TcpOptions {
  /** IPv4 address; that anything but loopback was asked for explicitly, the caller has seen to */
  readonly host: string
  /** null takes the first free one */
  readonly port: number | null
  /** tried before those from `firstPort` on, where none is named */
  readonly preferredPort?: number | null
  readonly firstPort: number
  /** ports tried from `firstPort` on */
  readonly tries: number
}

/**
 * Listens on `path`, mode 0600 from its first moment. A file left by a process that died is removed;
 * the data directory's lock, which the caller holds, keeps two nodes from doing that at once.
 * @throws StorageError LOCKED when somebody answers there
 * @throws ConfigError DATA_DIR_UNUSABLE
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  const first = await tryListen(server, () => withUmask(() => server.listen({ path })))
  if (first === null) return
  if (first.code !== 'EADDRINUSE' || !lstatSync(path).isSocket()) throw unusable(path, first)
  if (await isAlive(path)) {
    const message = `another node answers on ${path}`
    throw new StorageError({ code: 'LOCKED', message, hint: 'stop it first: aspen stop' })
  }
  unlinkSync(path)
  const second = await tryListen(server, () => withUmask(() => server.listen({ path })))
  if (second !== null) throw unusable(path, second)
}

/**
 * Listens on `host` and returns the port.
 * @throws TransportError PORT_IN_USE when the named port, or each one tried, is taken
 */
export async function listenOnPort(server: Server, options: TcpOptions): Promise<number> {
  const { host, port: named, preferredPort = null, firstPort, tries } = options
  const count = named === null ? Math.min(tries, LAST_PORT + 1 - firstPort) : 1
  const from = named ?? firstPort
  const ports = Array.from({ length: count }, (_item, at) => from + at)
  if (named === null && preferredPort !== null) ports.unshift(preferredPort)
  for (const port of ports) {
    const error = await tryListen(server, () => server.listen({ host, port }))
    if (error === null) return portOf(server)
    if (error.code !== 'EADDRINUSE' && error.code !== 'EACCES') throw error
  }
  const what =
    named === null ? `TCP ports ${from} to ${from + count - 1} are` : `TCP port ${named} is`
  throw new TransportError({
    code: 'PORT_IN_USE',
    message: `${what} in use on ${host}`,
    hint: 'name a free one for the HTTP API, or none to take any',
    fields: { port: from }
  })
}

export function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new AspenError(NOT_LISTENING)
  return address.port
}

const NOT_LISTENING = { code: 'NODE_NOT_RUNNING', message: 'the HTTP API does not listen' } as const
const LAST_PORT = 65_535

interface ListenError extends Error {
  readonly code?: string
}

/** Null when it listens, the error when it could not. */
function tryListen(server: Server, listen: () => void): Promise<ListenError | null> {
  return new Promise((resolve) => {
    const onError = (error: ListenError): void => {
      server.off('listening', onListening)
      resolve(error)
    }
    const onListening = (): void => {
      server.off('error', onError)
      resolve(null)
    }
    server.once('error', onError).once('listening', onListening)
    listen()
  })
}

/** `listen` binds before it returns, so the mask is another one for this call only. */
function withUmask(bind: () => void): void {
  const before = process.umask(0o177)
  try {
    bind()
  } finally {
    process.umask(before)
  }
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    const finish = (isAnswered: boolean): void => {
      socket.destroy()
      resolve(isAnswered)
    }
    socket.once('connect', () => finish(true))
    socket.once('error', (error: ListenError) => finish(error.code !== 'ECONNREFUSED'))
  })
}

function unusable(path: string, cause: ListenError): ConfigError {
  const message = `cannot listen on ${path}: ${cause.code ?? cause.message}`
  return new ConfigError({ code: 'DATA_DIR_UNUSABLE', message }, { cause })
}
