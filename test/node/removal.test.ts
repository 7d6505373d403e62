// Real nodes that are removed, while they run, while they are down, and while their log is being repaired: they
// end with the reason, and their folders never start again.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import type { Assert } from 'brittle'
import { present } from '../../lib/assert.ts'
import { AspenError, CODES } from '../../lib/errors.ts'
import { isLocked } from '../../lib/node/data-directory.ts'
import type { AspenNode } from '../../lib/node/node.ts'
import { BootstrapNode } from '../../lib/transport/dht.ts'
import { openNode } from './nodes.ts'
import type { Site } from './nodes.ts'

const LIMIT = { timeout: 90_000 }

interface Pair {
  readonly site: Site
  readonly a: AspenNode
  /** a learner of `a`'s cluster */
  readonly b: AspenNode
}

async function pairOf(t: Assert): Promise<Pair> {
  const dht = await BootstrapNode.open({ host: '127.0.0.1', port: 0 })
  t.teardown(() => dht.close(), { order: 1, force: true })
  const site = { root: await t.tmp(), bootstrap: [dht.address] }
  const a = await openNode(site, { kind: 'create' }, { name: 'a' })
  t.teardown(() => a.close(), { force: true })
  const { ticket } = present(a.opened.ticket, 'a ticket')
  const b = await openNode(site, { kind: 'join', ticket, timeoutMs: 20_000 }, { name: 'b' })
  t.teardown(() => b.close(), { force: true })
  return { site, a, b }
}

async function refusalOf(opening: Promise<AspenNode>): Promise<AspenError> {
  try {
    await (await opening).close()
  } catch (error) {
    if (error instanceof AspenError) return error
    throw error
  }
  throw new Error('the node was opened')
}

function stateOf(site: Site, name: string): unknown {
  return JSON.parse(readFileSync(join(site.root, name, 'node.json'), 'utf8')).state
}

const { exitCode: EXIT_CODE } = CODES.MEMBER_REMOVED

test(
  'a node that is removed ends with its code, and its folder says why ever after',
  LIMIT,
  async (t) => {
    const { site, a, b } = await pairOf(t)
    const { id } = b.status().node
    await a.cluster.removeMember({ id })
    t.is(await b.closed, EXIT_CODE)
    t.absent(isLocked(join(site.root, 'b')))
    t.is(stateOf(site, 'b'), 'removed')
    for (const kind of ['start', 'create'] as const) {
      const { code, message, detail } = await refusalOf(openNode(site, { kind }, { name: 'b' }))
      t.is(code, 'MEMBER_REMOVED', kind)
      t.ok(message.includes('was removed from its cluster'))
      t.ok(detail.hint?.includes('join again as a new node'))
    }
    t.alike(
      a.members().members.map((member) => member.id),
      [1]
    )
  }
)

test(
  'MEM-03 one that was down is told when it returns, and does not start a second time',
  LIMIT,
  async (t) => {
    const { site, a, b } = await pairOf(t)
    const { id } = b.status().node
    await b.close()
    await a.cluster.removeMember({ id })
    const back = await openNode(site, { kind: 'start' }, { name: 'b' })
    t.is(await back.closed, EXIT_CODE)
    t.is(stateOf(site, 'b'), 'removed')
    t.is((await refusalOf(openNode(site, { kind: 'start' }, { name: 'b' }))).code, 'MEMBER_REMOVED')
    const ticket = await a.createTicket()
    const intent = { kind: 'join', ticket: ticket.ticket, timeoutMs: 20_000 } as const
    t.is((await refusalOf(openNode(site, intent, { name: 'b' }))).code, 'MEMBER_REMOVED')
    const c = await openNode(site, intent, { name: 'c' })
    t.is(c.status().node.id, 3, 'an empty folder is a new node')
    await c.close()
  }
)

test(
  'one whose log is damaged asks the members that have removed it, and ends likewise',
  LIMIT,
  async (t) => {
    const { site, a, b } = await pairOf(t)
    const { id } = b.status().node
    for (let n = 0; n < 20; n++) await a.kv.put(`k${n}`, 'x'.repeat(2_000))
    await b.kv.get(new TextEncoder().encode('k19'))
    await b.close()
    await a.cluster.removeMember({ id })
    damage(join(site.root, 'b', 'log', 'data.mdb'))
    const error = await refusalOf(openNode(site, { kind: 'start' }, { name: 'b' }))
    t.is(error.code, 'MEMBER_REMOVED')
    t.is(stateOf(site, 'b'), 'removed')
  }
)

/** One byte of the value of an entry, wherever it stands in the file. */
function damage(path: string): void {
  const bytes = readFileSync(path)
  const at = bytes.indexOf('x'.repeat(1_000))
  if (at === -1) throw new Error('the value is not in the log')
  for (let from = at; from !== -1; from = bytes.indexOf('x'.repeat(1_000), from + 4_096))
    bytes[from] = 0x79
  writeFileSync(path, bytes)
}
