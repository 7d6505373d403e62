// HTTP-08, as far as it is about connections: how many requests one takes, how many headers a request has,
// and a crowd of them.

import test from 'brittle'
import { Agent, request as httpRequest } from 'node:http'
import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { HTTP_LIMITS } from '../../lib/http/http-limits.ts'
import { MAX_HTTP_HEADERS } from '../../lib/limits.ts'
import { Client } from '../../lib/client/client.ts'
import { codeOf, get, openServer, send } from './open-server.ts'

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
