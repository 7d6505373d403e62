// HTTP-08, as far as it is about connections: how many requests one takes, how many headers a request has,
// and a crowd of them.

import test from 'brittle'
import { Agent, request as httpRequest } from 'node:http'
import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { AspenError } from '../../lib/errors.ts'
import { HTTP_LIMITS } from '../../lib/http/http-limits.ts'
import { MAX_HTTP_HEADERS, MAX_HTTP_PIPELINED, MAX_VALUE_SIZE } from '../../lib/limits.ts'
import { Client } from '../../lib/client/client.ts'
import { systemTimers } from '../../lib/clock.ts'
import { InFlight } from '../../lib/http/in-flight.ts'
import type { Opened } from './open-server.ts'
import { codeOf, get, openServer, send } from './open-server.ts'

/** A connection over the socket that has sent `text`; `ended` has what came back. */
function connectionWith({ server }: Opened, text: string) {
  const socket = connect({ path: server.socketPath })
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {})
  const ended = new Promise<string>((resolve) => {
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
  })
  socket.write(text)
  return { socket, ended }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

const READ = 'GET /kv/a HTTP/1.1\r\nHost: a\r\n\r\n'

test('HTTP-08: a connection takes so many requests, and the last answer says that it closes', async (t) => {
  const { server } = await openServer(t, { limits: { maxRequestsPerConnection: 3 } })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy(), { order: -1 })
  const seen: string[] = []
  for (let count = 0; count < 7; count++) {
    const answer = await new Promise<string>((resolve, reject) => {
      const request = httpRequest(
        { socketPath: server.socketPath, path: '/livez', agent },
        (response) => {
          response.resume().on('end', () => {
            const { connection = '' } = response.headers
            resolve(`${request.reusedSocket ? 'kept' : 'new'} ${connection}`)
          })
        }
      )
      request.on('error', reject).end()
    })
    seen.push(answer)
  }
  t.alike(seen, [
    'new keep-alive',
    'kept keep-alive',
    'kept close',
    'new keep-alive',
    'kept keep-alive',
    'kept close',
    'new keep-alive'
  ])
})

test('HTTP-08: our client notices nothing of it', async (t) => {
  const { server } = await openServer(t, { limits: { maxRequestsPerConnection: 5 } })
  const client = Client.connect({ socketPath: server.socketPath })
  t.teardown(() => client.close(), { order: -1 })
  const puts = Array.from({ length: 200 }, (_, at) => client.kv.put(`k${at}`, 'v'))
  const revisions = (await Promise.all(puts)).map(({ revision }) => revision)
  t.is(new Set(revisions).size, 200)
  t.is((await client.kv.scan({ limit: 500 })).items.length, 200, 'each once')
})

test('HTTP-08: a request has so many headers and no more', async (t) => {
  const opened = await openServer(t)
  const { socketPath } = opened.server
  const statusWith = async (count: number): Promise<readonly unknown[]> => {
    // Host and Connection come from the client
    const names = Array.from({ length: count - 2 }, (_, at) => [`x-${at}`, 'y'] as const)
    const reply = await send({ socketPath, path: '/status', headers: Object.fromEntries(names) })
    return [reply.status, codeOf(reply)]
  }
  t.alike(await statusWith(MAX_HTTP_HEADERS), [200, null])
  t.alike(await statusWith(MAX_HTTP_HEADERS + 1), [400, 'INVALID_REQUEST'])
})

test(
  'HTTP-08: a crowd of connections is turned away, and the node answers again',
  { timeout: 60_000 },
  async (t) => {
    const opened = await openServer(t)
    const crowd: Socket[] = []
    let closedCount = 0
    for (let count = 0; count < 1_000; count++) {
      const socket = connect({ path: opened.server.socketPath })
      socket.on('error', () => {})
      socket.on('close', () => closedCount++)
      crowd.push(socket)
    }
    const limit = HTTP_LIMITS.maxConnections
    while (closedCount < crowd.length - limit)
      await new Promise((resolve) => setTimeout(resolve, 10))
    t.is(closedCount, crowd.length - limit, 'the others are kept')
    for (const socket of crowd) socket.destroy()
    while (closedCount < crowd.length) await new Promise((resolve) => setTimeout(resolve, 10))
    t.is((await get(opened, '/livez')).status, 200)
    t.alike(opened.logged, [])
  }
)

test('HTTP-08, HTTP-11: requests behind one that waits give their places back when the connection breaks', async (t) => {
  const opened = await openServer(t)
  const letGo = opened.node.hold()
  const { socket, ended } = connectionWith(opened, READ.repeat(MAX_HTTP_PIPELINED))
  await until(() => opened.node.calls === MAX_HTTP_PIPELINED)
  t.is(opened.server.inFlightCount, MAX_HTTP_PIPELINED)
  socket.destroy()
  await ended
  letGo()
  await until(() => opened.server.inFlightCount === 0)
  t.is((await get(opened, '/kv')).status, 200)
})

test('HTTP-08: a connection that asks too much at a time is closed', async (t) => {
  const opened = await openServer(t)
  const letGo = opened.node.hold()
  let refusalCount = 0
  opened.node.cluster.getLeader = async () => {
    refusalCount++
    return 1
  }
  const { ended } = connectionWith(opened, READ.repeat(500))
  t.is(await ended, '')
  t.is(opened.node.calls, MAX_HTTP_PIPELINED)
  t.is(refusalCount, 1, 'the others cost nothing')
  letGo()
  await until(() => opened.server.inFlightCount === 0)
  t.is((await get(opened, '/kv')).status, 200, 'others are served')
  t.alike(opened.logged, [])
})

test('HTTP-10: what is no HTTP behind a write at work is not told as the answer to that', async (t) => {
  const opened = await openServer(t)
  const letGo = opened.node.hold()
  const put = 'PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx'
  const { ended } = connectionWith(opened, `${put}nonsense\r\n\r\n`)
  t.is(await ended, '', 'no refusal of what happens all the same')
  letGo()
  await until(() => opened.server.inFlightCount === 0)
  t.is((await get(opened, '/kv/a')).text, 'x')
})

test('HTTP-08: whoever takes nothing of an answer is cut off, whoever waits for one is not', async (t) => {
  const opened = await openServer(t, { limits: { stallMs: 200 } })
  const { socketPath } = opened.server
  const value = Buffer.alloc(MAX_VALUE_SIZE, 'x')
  await send({ socketPath, method: 'PUT', path: '/kv/a' }, value)
  const slow = connectionWith(opened, READ)
  slow.socket.pause()
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  slow.socket.resume()
  t.ok((await slow.ended).length < value.length, 'the rest was never sent')

  const letGo = opened.node.hold()
  const waiting = get(opened, '/kv/a')
  await new Promise((resolve) => setTimeout(resolve, 600))
  letGo()
  t.is((await waiting).status, 200)
})

test('who asks for the metrics again and again in one turn makes the node write them once', async (t) => {
  const opened = await openServer(t)
  const { socket, ended } = connectionWith(
    opened,
    'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(MAX_HTTP_PIPELINED)
  )
  let answerCount = 0
  socket.on(
    'data',
    (bytes: Buffer) => (answerCount += bytes.toString().split(' 200 OK').length - 1)
  )
  await until(() => answerCount === MAX_HTTP_PIPELINED)
  socket.destroy()
  await ended
  t.is(opened.node.calls, 1)
  await get(opened, '/metrics')
  t.is(opened.node.calls, 2, 'and later anew')
})

test('what nobody waits for any more takes no place and is not begun', async (t) => {
  const inFlight = new InFlight(HTTP_LIMITS, systemTimers)
  let end = (): void => {}
  const place = inFlight.enter({ onEnd: (listener) => void (end = listener) })
  place.addBody(100)
  end()
  let isBegun = false
  const run = place.run(1_000, async () => void (isBegun = true))
  t.is(
    await run.then(
      () => null,
      (error: unknown) => error instanceof AspenError && error.code
    ),
    'UNAVAILABLE'
  )
  t.absent(isBegun)
  t.is(inFlight.count, 0)
})
