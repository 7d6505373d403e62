// Connections that break, against a server that does exactly what each test says.

import test from 'brittle'
import type { Assert } from 'brittle'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { chmodSync } from 'node:fs'
import { Client } from '../../lib/client/client.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { AspenError, asAspenError, CODES, isErrorCode } from '../../lib/errors.ts'
import { CLIENT_GRACE_MS } from '../../lib/limits.ts'
import { openServer } from '../http/open-server.ts'

const PROBE = '{"ok":true,"checks":{},"reasons":{}}'
const WRITTEN = '{"command":{},"revision":5,"changes":[{"previous_revision":4}]}'

function answer(body: string, status = 200): string {
  return `HTTP/1.1 ${status} X\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

interface Script {
  readonly client: Client
  /** texts of the requests that arrived, in order */
  readonly requests: string[]
}

/** A server that treats the nth complete request with the nth of `acts`, and a client of it. */
async function scripted(t: Assert, acts: ReadonlyArray<(socket: Socket) => void>): Promise<Script> {
  const socketPath = join(await t.tmp(), 'aspen.sock')
  const requests: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let text = ''
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (!isComplete(text)) return
      requests.push(text)
      text = ''
      acts[requests.length - 1]?.(socket)
    })
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  const client = Client.connect({ socketPath })
  t.teardown(() => {
    client.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { client, requests }
}

function isComplete(text: string): boolean {
  const [head = '', body] = text.split('\r\n\r\n')
  const size = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
  return body !== undefined && Buffer.byteLength(body) >= size
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'none'
  } catch (error) {
    return asAspenError(error).code
  }
}

async function outcomeOf(promise: Promise<unknown>): Promise<string> {
  const code = await codeOf(promise)
  return isErrorCode(code) ? `${code} ${CODES[code].outcome}` : code
}

const put = (client: Client): Promise<unknown> => client.kv.put(bytesOf('a'), bytesOf('1'))

test('a write whose connection breaks before the answer is unknown and not sent again', async (t) => {
  const acts = [
    (socket: Socket) => socket.destroy(),
    (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"comm'),
    (socket: Socket) => socket.end()
  ]
  const { client, requests } = await scripted(t, acts)
  for (let count = 1; count <= acts.length; count++) {
    t.is(await codeOf(put(client)), 'OUTCOME_UNKNOWN')
    t.is(requests.length, count)
  }
})

test('making and revoking tickets are writes', async (t) => {
  const { client, requests } = await scripted(t, [
    (socket) => socket.destroy(),
    (socket) => socket.destroy()
  ])
  t.is(await codeOf(client.createTicket()), 'OUTCOME_UNKNOWN')
  t.is(await codeOf(client.revokeTicket('00000001')), 'OUTCOME_UNKNOWN')
  t.is(requests.length, 2)
})

test('a read whose connection breaks is sent again once, and then given up', async (t) => {
  const { client, requests } = await scripted(t, [
    (socket) => socket.destroy(),
    (socket) => socket.write(answer(PROBE)),
    (socket) => socket.destroy(),
    (socket) => socket.destroy(),
    (socket) => socket.write(answer(PROBE))
  ])
  t.alike(await client.livez(), { ok: true, checks: {}, reasons: {} })
  t.is(requests.length, 2)
  t.is(await codeOf(client.livez()), 'UNAVAILABLE')
  t.is(requests.length, 4)
})

test('a kept connection that the server ended does not fail the next request', async (t) => {
  const { client } = await scripted(t, [
    (socket) => socket.end(answer(WRITTEN)),
    (socket) => socket.end(answer(WRITTEN)),
    (socket) => socket.end(answer(WRITTEN))
  ])
  for (let count = 0; count < 3; count++) {
    t.alike(await put(client), { revision: 5, previousRevision: 4 })
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
  }
})

test('a large write that the server cuts before it has it all did not happen', async (t) => {
  const socketPath = join(await t.tmp(), 'aspen.sock')
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  const client = Client.connect({ socketPath })
  t.teardown(() => {
    client.close()
    server.close()
  })
  const value = new Uint8Array(1_000_000).fill(97)
  const pairs = Array.from({ length: 8 }, (_, index) => [`k${index}`, value] as const)
  t.is(await codeOf(client.kv.write({ command: { SetMulti: { pairs } } })), 'UNAVAILABLE')
})

test('answers that are not those of a node are PROTOCOL, and unknown for a write', async (t) => {
  const strange = ['', 'hello', '{}', '[1]', '{"error":"text"}', '{"ok":1,"checks":{}}']
  const acts = strange.flatMap((body) => [
    (socket: Socket) => socket.write(answer(body)),
    (socket: Socket) => socket.write(answer(body))
  ])
  const { client } = await scripted(t, acts)
  for (const body of strange) {
    t.is(await codeOf(client.livez()), 'PROTOCOL', JSON.stringify(body))
    t.is(await codeOf(put(client)), 'OUTCOME_UNKNOWN')
  }
})

test('what is no HTTP at all is a broken connection', async (t) => {
  const { client } = await scripted(t, [
    (socket) => socket.end('SSH-2.0-OpenSSH\r\n'),
    (socket) => socket.end('SSH-2.0-OpenSSH\r\n'),
    (socket) => socket.end('SSH-2.0-OpenSSH\r\n')
  ])
  t.is(await codeOf(client.livez()), 'UNAVAILABLE')
  t.is(await codeOf(put(client)), 'OUTCOME_UNKNOWN')
})

test('an error code of a newer node allows the same conclusions, and says as much', async (t) => {
  const body = (retryable: boolean, applied: false | null): string =>
    JSON.stringify({
      error: {
        code: 'BRAND_NEW',
        message: 'm',
        hint: 'do this',
        retryable,
        applied,
        leader: 2,
        revision: null,
        fields: { max: 9 }
      }
    })
  const { client } = await scripted(t, [
    (socket) => socket.write(answer(body(true, false), 503)),
    (socket) => socket.write(answer(body(false, false), 400)),
    (socket) => socket.write(answer(body(false, null), 500))
  ])
  for (const code of ['UNAVAILABLE', 'INVALID_REQUEST', 'FAILED']) {
    const error = await put(client).then(
      () => null,
      (reason: unknown) => reason
    )
    const message = 'BRAND_NEW: m'
    const fields = { max: 9, leader: 2 }
    t.alike(error instanceof AspenError && error.detail, { code, message, hint: 'do this', fields })
  }
})

test('fields that a newer node adds do no harm', async (t) => {
  const { client } = await scripted(t, [
    (socket) => socket.write(answer('{"ok":true,"checks":{},"reasons":{},"new":1}')),
    (socket) =>
      socket.write(answer('{"revision":5,"changes":[{"previous_revision":4,"new":1}],"new":1}'))
  ])
  t.is((await client.livez()).ok, true)
  t.alike(await put(client), { revision: 5, previousRevision: 4 })
})

test('nobody there is NODE_NOT_RUNNING, and says how to start one', async (t) => {
  const socketPath = join(await t.tmp(), 'aspen.sock')
  const targets = [{ socketPath }, { url: 'http://127.0.0.1:1', token: 'x' }]
  for (const target of targets) {
    const client = Client.connect(target)
    t.is(await codeOf(client.status()), 'NODE_NOT_RUNNING')
    t.is(await codeOf(put(client)), 'NODE_NOT_RUNNING')
    client.close()
  }
})

test('a socket of another user is FORBIDDEN', { skip: process.getuid?.() === 0 }, async (t) => {
  const { server } = await openServer(t)
  chmodSync(server.socketPath, 0)
  const client = Client.connect({ socketPath: server.socketPath })
  t.teardown(() => client.close(), { order: -1 })
  t.is(await codeOf(client.status()), 'FORBIDDEN')
})

test('a node that never answers: nothing happened by a read, and a write is in doubt', async (t) => {
  const { client, requests } = await scripted(t, [])
  const timeoutMs = 50
  const reads = [client.kv.get(bytesOf('a'), { timeoutMs }), client.listTickets({ timeoutMs })]
  const writes = [
    client.kv.put(bytesOf('a'), bytesOf('1'), { timeoutMs }),
    client.createTicket({ timeoutMs }),
    client.revokeTicket('00000001', { timeoutMs })
  ]
  const startedMs = performance.now()
  for (const read of reads) t.is(await outcomeOf(read), 'UNAVAILABLE refused')
  for (const write of writes) t.is(await outcomeOf(write), 'TIMEOUT unknown')
  const tookMs = performance.now() - startedMs
  t.ok(tookMs >= timeoutMs + CLIENT_GRACE_MS - 5, 'the node has time to say how it ended')
  t.ok(tookMs < 5 * (timeoutMs + CLIENT_GRACE_MS))
  t.is(requests.length, 5, 'nothing is sent again')
})

test('what a node knows without asking anybody is waited for as long as was said', async (t) => {
  const { client } = await scripted(t, [])
  const startedMs = performance.now()
  for (const look of [client.status({ timeoutMs: 50 }), client.members({ timeoutMs: 50 })]) {
    t.is(await outcomeOf(look), 'UNAVAILABLE refused')
  }
  t.ok(performance.now() - startedMs < 50 + CLIENT_GRACE_MS, 'without the margin')
})

test('a write that had not left when its time was over did not happen', async (t) => {
  const socketPath = join(await t.tmp(), 'aspen.sock')
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  const client = Client.connect({ socketPath })
  t.teardown(() => {
    client.close()
    server.close()
  })
  const value = new Uint8Array(1_000_000).fill(97)
  const command = { SetMulti: { pairs: ['a', 'b', 'c', 'd'].map((key) => [key, value] as const) } }
  t.is(await outcomeOf(client.kv.write({ command }, { timeoutMs: 50 })), 'UNAVAILABLE refused')
})

test('closing the client ends what is in progress', async (t) => {
  const { client, requests } = await scripted(t, [])
  const waiting = Promise.all([codeOf(put(client)), codeOf(client.livez())])
  while (requests.length < 2) await new Promise((resolve) => setImmediate(resolve))
  client.close()
  t.alike(await waiting, ['OUTCOME_UNKNOWN', 'UNAVAILABLE'])
  t.is(await codeOf(client.livez()), 'UNAVAILABLE', 'and nothing new begins')
  t.is(requests.length, 2)
})

test('a node that stops and starts again is found again', async (t) => {
  const first = await openServer(t)
  const { socketPath } = first.server
  const client = Client.connect({ socketPath })
  t.teardown(() => client.close(), { order: -1 })
  await put(client)
  await first.server.close()
  t.is(await codeOf(put(client)), 'NODE_NOT_RUNNING')
  const second = await openServer(t, { socketPath })
  await put(client)
  t.is(second.node.calls, 1)
})
