// Opening and closing: sockets, ports, stale files, draining, handles.

import test from 'brittle'
import type { Assert } from 'brittle'
import { Agent } from 'node:http'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { AspenError } from '../../lib/errors.ts'
import { asAspenError } from '../../lib/errors.ts'
import { HttpServer } from '../../lib/http/http-server.ts'
import type { HttpServerOptions } from '../../lib/http/http-server.ts'
import { MemoryNode } from './memory-node.ts'
import { codeOf, field, get, openServer, post, send, TOKEN } from './open-server.ts'

function optionsFor(folder: string, more: Partial<HttpServerOptions> = {}): HttpServerOptions {
  return {
    api: new MemoryNode(),
    admin: new MemoryNode().admin,
    socketPath: join(folder, 'aspen.sock'),
    tcp: { host: '127.0.0.1', port: 0, firstPort: 7070, tries: 1 },
    token: TOKEN,
    log: { error: () => {} },
    ...more
  }
}

async function failureOf(promise: Promise<unknown>): Promise<AspenError | null> {
  try {
    await promise
    return null
  } catch (error) {
    return asAspenError(error)
  }
}

/** Waits until `condition` holds. */
async function until(
  t: Assert,
  what: string,
  condition: () => boolean | Promise<boolean>
): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!(await condition())) {
    if (Date.now() > deadline) return t.fail(`never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

test('the socket file is for its owner only, and gone after close', async (t) => {
  const before = process.umask()
  const { server } = await openServer(t)
  t.is(statSync(server.socketPath).mode & 0o777, 0o600)
  t.is(process.umask(), before, 'the mask of the process is as it was')
  await server.close()
  t.absent(existsSync(server.socketPath))
})

test('a socket file that a killed process left is taken over', async (t) => {
  const path = join(await t.tmp(), 'aspen.sock')
  const program = `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  child.kill('SIGKILL')
  await new Promise((resolve) => child.once('exit', resolve))
  t.ok(existsSync(path), 'the file is still there')
  const { server } = await openServer(t, { socketPath: path })
  t.is((await send({ socketPath: server.socketPath, path: '/livez' })).status, 200)
  t.is(statSync(path).mode & 0o777, 0o600)
})

test('a live socket is somebody else’s: LOCKED, and it goes on working', async (t) => {
  const opened = await openServer(t)
  const { socketPath } = opened.server
  const error = await failureOf(HttpServer.open({ ...optionsFor(''), socketPath }))
  t.is(error?.code, 'LOCKED')
  t.is((await get(opened, '/livez')).status, 200)
})

test('a file that is no socket is not touched', async (t) => {
  const folder = await t.tmp()
  const options = optionsFor(folder)
  writeFileSync(options.socketPath, 'mine')
  const error = await failureOf(HttpServer.open(options))
  t.is(error?.code, 'DATA_DIR_UNUSABLE')
  t.is(statSync(options.socketPath).size, 4)
})

test('a folder that is not there is said so', async (t) => {
  const error = await failureOf(HttpServer.open(optionsFor(join(await t.tmp(), 'none'))))
  t.is(error?.code, 'DATA_DIR_UNUSABLE')
})

/** Takes a TCP port, and tells which. */
async function takePort(t: Assert): Promise<number> {
  const taker: Server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => taker.once('listening', resolve))
  t.teardown(() => taker.close())
  const address = taker.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

test('a named port that is taken is PORT_IN_USE, and nothing is left listening', async (t) => {
  const port = await takePort(t)
  const tcp = { host: '127.0.0.1', port, firstPort: 7070, tries: 100 } as const
  const options = optionsFor(await t.tmp(), { tcp })
  const error = await failureOf(HttpServer.open(options))
  t.is(error?.code, 'PORT_IN_USE')
  t.ok(error?.message.includes(String(port)))
  t.absent(existsSync(options.socketPath))
})

test('without a name the first free port is taken', async (t) => {
  const firstPort = await takePort(t)
  const none = { host: '127.0.0.1', port: null, firstPort, tries: 1 } as const
  const error = await failureOf(HttpServer.open(optionsFor(await t.tmp(), { tcp: none })))
  t.is(error?.code, 'PORT_IN_USE')
  const tcp = { ...none, tries: 50 }
  const { server, port } = await openServer(t, { tcp })
  t.ok(port > firstPort && port < firstPort + 50)
  t.is(server.url, `http://127.0.0.1:${port}`)
})

test('HTTP-14: TCP answers on loopback only', async (t) => {
  const { port } = await openServer(t)
  const outside = await failureOf(send({ host: '127.0.0.2', port, path: '/livez' }))
  t.ok(outside !== null, 'another address of this machine is refused')
  t.is((await send({ host: '127.0.0.1', port, path: '/livez' })).status, 200)
})

test('a thousand requests at once over few connections are all answered', async (t) => {
  const opened = await openServer(t)
  const agent = new Agent({ keepAlive: true, maxSockets: 32 })
  t.teardown(() => agent.destroy())
  const { socketPath } = opened.server
  const headers = { 'content-type': 'application/json' }
  const replies = await Promise.all(
    Array.from({ length: 1_000 }, async (_, index) => {
      const body = JSON.stringify({ command: { Set: { key: `k${index}`, value: `${index}` } } })
      return send({ socketPath, agent, method: 'POST', path: '/kv/write', headers }, body)
    })
  )
  t.ok(replies.every(({ status }) => status === 200))
  const revisions = new Set(replies.map(({ json }) => field(json, 'revision')))
  t.is(revisions.size, 1_000, 'one revision each')
})

test('beyond the limit of requests in progress: OVERLOADED, except what answers from memory', async (t) => {
  const opened = await openServer(t, { limits: { maxInFlight: 2 } })
  const letGo = opened.node.hold()
  const waiting = [post(opened, '/kv/read', { key: 'a' }), post(opened, '/kv/read', { key: 'b' })]
  await until(t, 'both are in progress', () => opened.node.calls === 2)
  const over = await post(opened, '/kv/read', { key: 'c' })
  t.is(over.status, 503)
  t.is(codeOf(over), 'OVERLOADED')
  t.is(over.headers['retry-after'], '1')
  for (const path of ['/livez', '/readyz/not_draining', '/health', '/status', '/members']) {
    t.is((await get(opened, path)).status, 200, path)
  }
  letGo()
  t.alike((await Promise.all(waiting)).map(codeOf), ['NOT_FOUND', 'NOT_FOUND'])
  t.is(codeOf(await post(opened, '/kv/read', { key: 'c' })), 'NOT_FOUND', 'there is room again')
})

test('beyond the memory for bodies: OVERLOADED, and it is given back', async (t) => {
  const opened = await openServer(t, { limits: { maxPendingBodyBytes: 100_000 } })
  const write = (size: number): ReturnType<typeof post> =>
    post(opened, '/kv/write', { command: { Set: { key: 'a', value: 'x'.repeat(size) } } })
  t.is(codeOf(await write(100_000)), 'OVERLOADED')
  for (let count = 0; count < 5; count++) t.is((await write(90_000)).status, 200)
  const letGo = opened.node.hold()
  const first = write(90_000)
  await until(t, 'the first is in progress', () => opened.node.calls === 6)
  t.is(codeOf(await write(90_000)), 'OVERLOADED')
  letGo()
  t.is((await first).status, 200)
})

/** A connection whose text is collected; `closed` comes when the other side has ended it. */
function rawConnection(path: string): { socket: Socket; closed: Promise<string> } {
  const socket = connect({ path })
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('error', () => {})
  const closed = new Promise<string>((resolve) => {
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
  })
  return { socket, closed }
}

test('HTTP-08: slow headers and slow bodies are cut at their timeouts', async (t) => {
  const limits = { headersTimeoutMs: 300, requestTimeoutMs: 600 }
  const opened = await openServer(t, { limits })
  const { socketPath } = opened.server
  const headers = rawConnection(socketPath)
  headers.socket.write('POST /kv/read HTTP/1.1\r\nHost: a\r\n')
  const body = rawConnection(socketPath)
  body.socket.write(
    'POST /kv/read HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"key"'
  )
  const startedMs = Date.now()
  const texts = await Promise.all([headers.closed, body.closed])
  t.ok(Date.now() - startedMs < 5_000)
  for (const text of texts) t.ok(/^HTTP\/1.1 400 .*did not arrive in time/s.test(text), text)
  t.is(opened.node.calls, 0)
  t.is((await get(opened, '/livez')).status, 200, 'others are served')
})

test('HTTP-08: pipelined requests are answered in order', async (t) => {
  const { server } = await openServer(t)
  const { socket, closed } = rawConnection(server.socketPath)
  const request = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n`
  socket.write(
    `${request('/livez')}\r\n${request('/status')}\r\n${request('/x')}Connection: close\r\n\r\n`
  )
  const text = await closed
  t.alike(text.match(/HTTP\/1.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 404'])
})

test('HTTP-08: connections beyond the limit are closed at once, the others served', async (t) => {
  const opened = await openServer(t, { limits: { maxConnections: 3 } })
  const { socketPath } = opened.server
  const held = [rawConnection(socketPath), rawConnection(socketPath)]
  await Promise.all(
    held.map(({ socket }) => new Promise((resolve) => socket.once('connect', resolve)))
  )
  t.is((await get(opened, '/livez')).status, 200, 'the third is served')
  held.push(rawConnection(socketPath))
  const fifth = rawConnection(socketPath)
  t.is(await fifth.closed, '', 'one too many is closed without a word')
  for (const { socket } of held) socket.destroy()
})

test('HTTP-11: a client that goes away leaves nothing behind, and its write stands', async (t) => {
  const opened = await openServer(t, { limits: { maxInFlight: 1 } })
  const letGo = opened.node.hold()
  const { socket, closed } = rawConnection(opened.server.socketPath)
  const body = '{"command":{"Set":{"key":"a","value":"1"}}}'
  socket.write(
    `POST /kv/write HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  )
  await until(t, 'the write is in progress', () => opened.node.calls === 1)
  socket.destroy()
  await closed
  t.is(codeOf(await post(opened, '/kv/read', { key: 'a' })), 'OVERLOADED', 'it keeps its place')
  letGo()
  let value: unknown
  await until(t, 'the place is free', async () => {
    const reply = await post(opened, '/kv/read', { key: 'a' })
    value = field(reply.json, 'value')
    return reply.status === 200
  })
  t.is(value, '1')
  t.alike(opened.logged, [])
})

test('HTTP-11: a client that goes away in the middle of a body asks for nothing', async (t) => {
  const opened = await openServer(t, { limits: { maxInFlight: 1 } })
  for (let count = 0; count < 20; count++) {
    const { socket, closed } = rawConnection(opened.server.socketPath)
    socket.write(
      'POST /kv/write HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{'
    )
    await new Promise((resolve) => setImmediate(resolve))
    socket.destroy()
    await closed
  }
  await until(t, 'the places are free', async () => {
    const reply = await post(opened, '/kv/write', { command: { Delete: { key: 'a' } } })
    return reply.status === 200
  })
  t.alike(opened.logged, [])
})

test('HTTP-10: an operation that keeps no time ends as unknown after its own time and the margin', async (t) => {
  const opened = await openServer(t, { limits: { requestTimeoutMs: 100 } })
  const letGo = opened.node.hold()
  const reply = await post(opened, '/kv/write', {
    command: { Set: { key: 'a', value: '1' } },
    timeout_ms: 50
  })
  t.is(reply.status, 504)
  t.is(codeOf(reply), 'TIMEOUT')
  t.is(field(field(reply.json, 'error'), 'applied'), null)
  letGo()
})

test('close lets a request in progress end, and refuses what comes meanwhile', async (t) => {
  const opened = await openServer(t)
  const { socketPath } = opened.server
  const letGo = opened.node.hold()
  const waiting = post(opened, '/kv/read', { key: 'a' })
  const half = rawConnection(socketPath)
  half.socket.write('GET /livez HTTP/1.1\r\n')
  await until(t, 'the read is in progress', () => opened.node.calls === 1)
  t.is((await get(opened, '/livez')).status, 200, 'by now the half request has arrived too')
  const closing = opened.server.close()
  half.socket.write('Host: a\r\n\r\n')
  const text = await half.closed
  t.ok(/^HTTP\/1.1 503 .*connection: close.*"UNAVAILABLE"/is.test(text), text)
  t.is((await failureOf(get(opened, '/livez')))?.code, 'FAILED', 'nobody listens any more')
  letGo()
  const reply = await waiting
  t.is(codeOf(reply), 'NOT_FOUND', 'what was in progress is answered')
  t.is(reply.headers.connection, 'close')
  await closing
  t.is(opened.node.calls, 1)
})

test('close ends within two seconds, whatever is in progress', async (t) => {
  const opened = await openServer(t)
  const letGo = opened.node.hold()
  const waiting = failureOf(post(opened, '/kv/read', { key: 'a' }))
  const idle = rawConnection(opened.server.socketPath)
  const half = rawConnection(opened.server.socketPath)
  half.socket.write('GET /livez HTTP/1.1\r\n')
  await until(t, 'the read is in progress', () => opened.node.calls === 1)
  const startedMs = Date.now()
  await Promise.all([opened.server.close(), opened.server.close()])
  t.ok(Date.now() - startedMs < 2_000, `${Date.now() - startedMs} ms`)
  t.ok((await waiting) !== null, 'the request was cut')
  await Promise.all([idle.closed, half.closed])
  letGo()
})
