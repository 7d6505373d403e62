// What only the assembly ties together: whose a request is, and what becomes of what nobody needs.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { decode, encode } from '../../lib/encoding.ts'
import type { NodeId } from '../../lib/node-id.ts'
import { EMPTY_CONFIGURATION } from '../../lib/raft/configuration.ts'
import type { LeaderAnswer } from '../../lib/service/encoding.ts'
import { leaderAnswer, leaderRequest } from '../../lib/service/encoding.ts'
import { encodeControl } from '../../lib/state-machine/encoding.ts'
import { Links } from '../../lib/transport/links.ts'
import type { TransportHandlers } from '../../lib/transport/transport.ts'
import { Founder } from './founder.ts'

const LONG_MS = 60_000

async function open() {
  const made: TransportHandlers[] = []
  const warned: object[] = []
  const founder = new Founder({
    events: { info: () => {}, warn: (fields) => warned.push(fields) },
    makeTransport: (options) => {
      made.push(options.handlers)
      return new Links(options)
    }
  })
  const { time } = founder
  const { assembly, end } = await time.settled(founder.begin(), LONG_MS)
  await time.settled(end, LONG_MS)
  return { founder, assembly, warned, handlers: present(made[0], 'the handlers') }
}

test('a member that describes another one is refused by the leader, by the id of its link', async (t) => {
  const { founder, assembly, handlers } = await open()
  t.ok(assembly.isLeading())
  const describe = (id: NodeId) =>
    encodeControl({
      kind: 'describe',
      id,
      name: 'mallory',
      version: '6.6.6',
      addresses: [{ host: '10.6.6.6', port: 6 }]
    })
  const ask = async (from: NodeId): Promise<readonly LeaderAnswer[]> => {
    const answers: LeaderAnswer[] = []
    const proposals = [{ kind: 3, payload: describe(1) }]
    const request = encode(leaderRequest, { kind: 'propose', timeoutMs: 1_000, proposals })
    handlers.onRequest(from, request, (answer) => answers.push(decode(leaderAnswer, answer)))
    await founder.time.run(500)
    return answers
  }
  const { lastIndex } = assembly.replica.status
  t.alike(await ask(2), [{ kind: 'rejected' }])
  t.is(assembly.replica.status.lastIndex, lastIndex, 'nothing is proposed')
  const done = { kind: 'done', index: lastIndex + 1, result: { kind: 'described' } }
  t.alike(await ask(1), [{ kind: 'outcomes', outcomes: [done] }], 'its own word would be taken')
  await founder.time.settled(assembly.close(), LONG_MS)
})

test('a welcome that this version has no use for is not lost in silence', async (t) => {
  const { founder, assembly, handlers, warned } = await open()
  const { epoch } = assembly
  const sealedSecret = new Uint8Array(80)
  handlers.onWelcome({ id: 1, epoch: 2, sealedSecret, configuration: EMPTY_CONFIGURATION })
  t.alike(warned, [{ event: 'link.welcome', epoch: 2 }])
  t.is(assembly.epoch, epoch)
  await founder.time.settled(assembly.close(), LONG_MS)
})
