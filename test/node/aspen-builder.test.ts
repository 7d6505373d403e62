// A node inside a program, by the builder: what each setting does, and what is refused.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
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
  const { ticket } = present(first.opened.ticket, 'the first ticket')
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
  const again = kept(t, await new AspenBuilder(join(root, 'b')).withTicket(ticket).start())
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
  const wrong: [string, AspenBuilder, string, RegExp][] = [
    ['no folder', new AspenBuilder(''), 'CONFIG_INVALID', /a folder/],
    ['a name', new AspenBuilder(folder).withName('a b'), 'CONFIG_INVALID', /withName: 'a b'/],
    ['a ticket', new AspenBuilder(folder).withTicket('aspen1x'), 'TICKET_DAMAGED', /ticket/],
    [
      'a client',
      new AspenBuilder(folder).withTicket(clientTicket()),
      'TICKET_WRONG_ROLE',
      /client/
    ],
    ['a host name', builderWith(folder, 'localhost:1'), 'CONFIG_INVALID', /withBootstrap: 'local/],
    ['no port', builderWith(folder, '10.0.0.1'), 'CONFIG_INVALID', /withBootstrap: '10/],
    [
      'a port',
      new AspenBuilder(folder).withHttp({ port: 0 }),
      'CONFIG_INVALID',
      /from 1 to 65535, not 0/
    ],
    ['half a port', new AspenBuilder(folder).withHttp({ port: 1.5 }), 'CONFIG_INVALID', /not 1.5/],
    ['a profile', withAny('withTiming', 'fast'), 'CONFIG_INVALID', /'fast' is no timing/],
    ['a prototype', withAny('withTiming', 'toString'), 'CONFIG_INVALID', /'toString'/],
    ['no flag', withAny('withGossip', 'no'), 'CONFIG_INVALID', /withGossip: true or false, not no/]
  ]
  for (const [what, builder, code, message] of wrong) {
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

  /** As a program without types would call it. */
  function withAny(method: 'withTiming' | 'withGossip', value: unknown): AspenBuilder {
    const builder = new AspenBuilder(folder)
    const call: unknown = Reflect.get(builder, method)
    if (typeof call === 'function') Reflect.apply(call, builder, [value])
    return builder
  }
})

function builderWith(folder: string, address: string): AspenBuilder {
  return new AspenBuilder(folder).withBootstrap([address])
}

function clientTicket(): string {
  return encodeTicket({
    role: 'client-read',
    clusterId: new Uint8Array(16).fill(1),
    secret: new Uint8Array(16).fill(9),
    expiresMs: 1_800_000_000_000,
    memberKeys: [new Uint8Array(32).fill(1)],
    addresses: [],
    bootstrap: []
  })
}

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
