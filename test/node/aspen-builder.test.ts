// A node inside a program, by the builder: what each setting does, and what is refused.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'brittle'
import type { Assert } from 'brittle'
import { formatAddress } from '../../lib/address.ts'
import { present } from '../../lib/assert.ts'
import { textOf } from '../../lib/encoding.ts'
import { AspenError } from '../../lib/errors.ts'
import { AspenBuilder } from '../../lib/node/aspen-builder.ts'
import type { AspenNode } from '../../lib/node/node.ts'
import { BootstrapNode } from '../../lib/transport/dht.ts'
import { encodeTicket } from '../../tickets/tickets.ts'
import { freePorts } from '../ports.ts'

const LIMIT = { timeout: 60_000 }

interface Site {
  readonly root: string
  readonly bootstrap: string
}

async function siteOf(t: Assert): Promise<Site> {
  const dht = await BootstrapNode.open({ host: '127.0.0.1', port: 0 })
  t.teardown(() => dht.close(), { order: 1, force: true })
  return { root: await t.tmp(), bootstrap: formatAddress(dht.address) }
}

function kept(t: Assert, node: AspenNode): AspenNode {
  t.teardown(() => node.close(), { force: true })
  return node
}

test('an empty folder becomes a cluster, a ticket a member, a member starts', LIMIT, async (t) => {
  const { root, bootstrap } = await siteOf(t)
  const folder = join(root, 'a')
  const first = await new AspenBuilder(folder).withBootstrap([bootstrap]).withName('a').start()
  const ticket = present(first.opened.ticket, 'the first ticket')
  t.is(first.status().node.name, 'a')
  await first.client().put('k', 'v')
  await first.close()

  const a = kept(t, await new AspenBuilder(folder).start())
  t.absent(a.opened.ticket)
  t.is(a.status().node.name, 'a', 'the name and the bootstrap nodes are kept')
  const b = await new AspenBuilder(join(root, 'b')).withTicket(ticket).withTiming('lan').start()
  t.absent(b.opened.wasMember)
  t.is(textOf((await b.client().read({ key: 'k' })).value), 'v')
  await b.close()
  const again = kept(t, await new AspenBuilder(join(root, 'b')).withTicket(ticket.ticket).start())
  t.ok(again.opened.wasMember)
  t.is(again.status().node.id, 2)
})

test(
  'without the API nothing listens, and nobody finds the node by its folder',
  LIMIT,
  async (t) => {
    const { root, bootstrap } = await siteOf(t)
    const folder = join(root, 'a')
    const builder = new AspenBuilder(folder).withBootstrap([bootstrap]).withHttp(false)
    const node = kept(t, await builder.withGossip(false).start())
    await node.client().put('k', 'v')
    t.alike(node.status().api, { socket: '', http: '' })
    t.absent(existsSync(join(folder, 'aspen.sock')))
    t.absent(existsSync(join(folder, 'runtime.json')))
    t.absent(existsSync(join(folder, 'api.token')))
  }
)

test('every setting is looked at before anything is opened', async (t) => {
  const folder = join(await t.tmp(), 'a')
  for (const [what, builder, code, message] of wrongSettings(folder)) {
    const error = await builder.start().then(
      async (node) => await node.close(),
      (reason: unknown) => reason
    )
    t.ok(error instanceof AspenError, what)
    if (!(error instanceof AspenError)) continue
    t.is(error.code, code, what)
    t.ok(message.test(error.message), error.message)
  }
  t.absent(existsSync(folder), 'nothing was made')
})

type Wrong = readonly [what: string, builder: AspenBuilder, code: string, message: RegExp]

function wrongSettings(folder: string): readonly Wrong[] {
  return [...wrongPlaces(folder), ...wrongValues(folder)]
}

function wrongPlaces(folder: string): readonly Wrong[] {
  const make = (): AspenBuilder => new AspenBuilder(folder)
  return [
    ['no folder', new AspenBuilder(''), 'CONFIG_INVALID', /a folder/],
    ['a name', make().withName('a b'), 'CONFIG_INVALID', /withName takes a name.* not 'a b'/],
    ['a ticket', make().withTicket('aspen1x'), 'TICKET_DAMAGED', /ticket/],
    ['of clients', make().withTicket(clientTicket()), 'TICKET_WRONG_ROLE', /client/],
    [
      'a ticket with peers',
      make().withTicket(ticketOf('voter')).withPeers([]),
      'CONFIG_INVALID',
      /exclude each other/
    ],
    ['a peer', make().withPeers(['ab@10.0.0.1:1']), 'CONFIG_INVALID', /is no peer/],
    [
      'no port',
      make().withBootstrap(['10.0.0.1']),
      'CONFIG_INVALID',
      /withBootstrap takes a host and a port/
    ],
    [
      'a port',
      make().withHttp({ port: 0 }),
      'CONFIG_INVALID',
      /withHttp takes .* from 1 to 65535, not '0'/
    ],
    ['half a port', make().withHttp({ port: 1.5 }), 'CONFIG_INVALID', /not '1.5'/],
    [
      'a host alone',
      make().withHttp({ host: '127.0.0.2' }),
      'CONFIG_INVALID',
      /an IPv4 address and a port/
    ],
    [
      'a network',
      make().withHttp({ host: '0.0.0.0', port: 7070 }),
      'CONFIG_INVALID',
      /http_public is not set/
    ]
  ]
}

function wrongValues(folder: string): readonly Wrong[] {
  const make = (): AspenBuilder => new AspenBuilder(folder)
  return [
    [
      'a profile',
      withAny(make(), 'withTiming', 'fast'),
      'CONFIG_INVALID',
      /withTiming takes .*lan.* not 'fast'/
    ],
    ['a prototype', withAny(make(), 'withTiming', 'toString'), 'CONFIG_INVALID', /'toString'/],
    [
      'no heartbeat',
      make().withHeartbeatIntervalMs(0),
      'CONFIG_INVALID',
      /withHeartbeatIntervalMs takes/
    ],
    ['a slow heart', make().withHeartbeatIntervalMs(1_500), 'CONFIG_INVALID', /must be less than/],
    [
      'elections',
      make().withElectionTimeoutMs(2_000, 2_000),
      'CONFIG_INVALID',
      /must be more than/
    ],
    [
      'timing',
      make().withTiming({ heartbeatMs: 2_000, electionMinMs: 1_000 }),
      'CONFIG_INVALID',
      /must be less than/
    ],
    [
      'no flag',
      withAny(make(), 'withGossip', 'no'),
      'CONFIG_INVALID',
      /withGossip takes true or false.* not 'no'/
    ],
    [
      'a backend',
      withAny(make(), 'withStorage', 'redb'),
      'CONFIG_INVALID',
      /withStorage is 'redb'.* lmdb/
    ],
    [
      'another backend',
      withAny(make(), 'withStorage', 'rocks'),
      'CONFIG_INVALID',
      /sqlite, inmemory/
    ],
    ['a limit', make().withSetting('storage.max_keys', 0), 'CONFIG_INVALID', /storage.max_keys/],
    ['no setting', withAny(make(), 'withSetting', 'color'), 'CONFIG_INVALID', /no such setting/],
    ['of commands', withAny(make(), 'withSetting', 'data_dir'), 'CONFIG_INVALID', /no such setting/]
  ]
}

/** As a program without types would call it. */
function withAny(builder: AspenBuilder, method: keyof AspenBuilder, value: unknown): AspenBuilder {
  const call: unknown = Reflect.get(builder, method)
  if (typeof call === 'function') Reflect.apply(call, builder, [value, value])
  return builder
}

function clientTicket(): string {
  return ticketOf('client-read')
}

function ticketOf(role: 'voter' | 'client-read'): string {
  return encodeTicket({
    role,
    clusterId: new Uint8Array(16).fill(1),
    secret: new Uint8Array(16).fill(9),
    expiresMs: 1_800_000_000_000,
    memberKeys: [new Uint8Array(32).fill(1)],
    addresses: [],
    bootstrap: []
  })
}

test('what is said counts, over what was recorded, and is recorded itself', LIMIT, async (t) => {
  const { root, bootstrap } = await siteOf(t)
  const folder = join(root, 'a')
  const [port = 0] = await freePorts(1)
  const recorded = (): unknown => JSON.parse(readFileSync(join(folder, 'node.json'), 'utf8'))
  const first = await new AspenBuilder(folder)
    .withBootstrap([bootstrap.replace('127.0.0.1', 'localhost')])
    .withHttp({ host: '127.0.0.2', port })
    .withTiming('wan')
    .withHeartbeatIntervalMs(300)
    .withElectionTimeoutMs(1_000, 2_000)
    .withSetting('storage.keep_history', 60_000)
    .withSetting('raft_mailbox_capacity', 10)
    .start()
  t.is(first.status().api.http, `http://127.0.0.2:${port}`)
  await first.close()
  const json = Object(recorded())
  t.alike(json.bootstrap, [bootstrap])
  t.is(json.timing, 'wan')
  t.is(json.storage['keep-history'], 60_000)
  t.is(json.settings.heartbeat_interval_ms, 300)
  t.is(json.settings.raft_mailbox_capacity, 10)
  // fits what is recorded, and not the default profile
  const second = await new AspenBuilder(folder).withElectionTimeoutMs(400, 800).start()
  await second.close()
  t.alike(
    [
      Object(recorded()).settings.election_timeout_min_ms,
      Object(recorded()).settings.heartbeat_interval_ms
    ],
    [400, 300]
  )
  const refused = new AspenBuilder(folder).withHeartbeatIntervalMs(400).start()
  await t.exception(refused, /must be less than/)
})

test('a program that has used and closed its node ends by itself', LIMIT, async (t) => {
  const { root, bootstrap } = await siteOf(t)
  const program = fileURLToPath(new URL('./build-and-close.js', import.meta.url))
  const child = spawn(process.execPath, [program, join(root, 'a'), bootstrap], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'), { force: true })
  let said = ''
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes.toString()
  })
  const [exitCode] = await once(child, 'exit')
  t.is(exitCode, 0)
  t.alike(JSON.parse(said), { value: 'v', exitCode: 0 })
})
