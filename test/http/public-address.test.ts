// A listener on another address than loopback: it answers to that address, and to no other name (HTTP-01, HTTP-14).

import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import test from 'brittle'
import { HttpServer } from '../../lib/http/http-server.ts'
import { freePorts } from '../ports.ts'
import { MemoryNode } from './memory-node.ts'
import { send, TOKEN } from './open-server.ts'
import type { Assert } from 'brittle'

/** What the server answers to each name, asked at `to`. */
async function statuses(
  t: Assert,
  host: string,
  to: string
): Promise<(name: string) => Promise<number>> {
  const node = new MemoryNode()
  const [firstPort = 0] = await freePorts(1)
  const server = await HttpServer.open({
    api: node,
    admin: node.admin,
    socketPath: join(await t.tmp(), 'aspen.sock'),
    tcp: { host, port: null, firstPort, tries: 100 },
    token: TOKEN,
    log: { error: () => {} }
  })
  t.teardown(() => server.close(), { force: true })
  const { port, hostname } = new URL(server.url)
  t.is(hostname, host === '0.0.0.0' ? '127.0.0.1' : host)
  return async (name) => {
    const headers = { host: `${name}:${port}` }
    return (await send({ host: to, port, path: '/members', headers, setHost: false })).status
  }
}

test('an address answers to itself, and asks for the token like loopback', async (t) => {
  if (process.platform !== 'linux') return t.comment('skip: only Linux has all of 127.0.0.0/8')
  const statusFor = await statuses(t, '127.0.0.2', '127.0.0.2')
  t.is(await statusFor('127.0.0.2'), 401)
  t.is(await statusFor('localhost'), 401)
  t.is(await statusFor('127.0.0.3'), 421)
  t.is(await statusFor('evil.example'), 421)
})

test('all addresses answer to those that the machine has, and to no name', async (t) => {
  const statusFor = await statuses(t, '0.0.0.0', '127.0.0.1')
  const own = Object.values(networkInterfaces())
    .flatMap((list = []) => list)
    .filter(({ family }) => family === 'IPv4')
  for (const { address } of own) t.is(await statusFor(address), 401, address)
  t.is(await statusFor('0.0.0.0'), 421)
  t.is(await statusFor('203.0.113.7'), 421)
  t.is(await statusFor('evil.example'), 421)
})
