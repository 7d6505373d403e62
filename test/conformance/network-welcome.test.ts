// A node that knows a member's key and nothing else, over both networks: what it is told, and when.
// Against members that do not keep to the protocol: transport/welcome.test.ts.

import { systemClock, systemTimers } from '../../lib/clock.ts'
import { hexOf } from '../../lib/encoding.ts'
import { TransportError } from '../../lib/errors.ts'
import type { Network } from '../../lib/transport/network.ts'
import { requestWelcome } from '../../lib/transport/welcome.ts'
import { CLUSTER_ID, keyPairOf, pause, peersOf, welcomeOf } from '../transport/harness.ts'
import type { Node } from '../transport/harness.ts'
import { check } from '../transport/stages.ts'

check('a node is told what it is by the member that it knows, once it is one', async (t, stage) => {
  const a = await stage.make({ name: 'a', id: 1 })
  const { publicKey } = keyPairOf('asker')
  const network = stage.network('asker')
  await network.open()
  const asking = askWelcome(network, a)
  await pause(200)
  a.trust.setStanding(publicKey, { kind: 'member', id: 5 })
  await pause(200)
  a.trust.welcomes.set(hexOf(publicKey), welcomeOf(5, publicKey))
  const told = await asking
  t.alike(told?.clusterId, CLUSTER_ID)
  t.alike(told?.welcome, welcomeOf(5, publicKey))
  t.alike(a.recorder.events, [], 'nothing of it is told upward')
  t.alike(a.links.links(), [])
})

check(
  'a stranger to the member that it asks hears nothing, until it gives up',
  async (t, stage) => {
    const a = await stage.make({ name: 'a', id: 1 })
    const network = stage.network('asker')
    await network.open()
    t.is(await askWelcome(network, a, { timeoutMs: 700 }), null)
    const abort = new AbortController()
    const asking = askWelcome(network, a, { signal: abort.signal })
    abort.abort()
    t.is(await asking, null)
    t.is(await askWelcome(network, a, { signal: abort.signal }), null, 'given up before it began')
  }
)

check('a removed key that asks for its welcome is told so', async (t, stage) => {
  const a = await stage.make({ name: 'a', id: 1 })
  const error = { code: 'MEMBER_REMOVED', message: 'node 5 was removed' } as const
  a.trust.setStanding(keyPairOf('asker').publicKey, { kind: 'refused', error })
  const network = stage.network('asker')
  await network.open()
  const refusal = await askWelcome(network, a).catch((caught: unknown) => caught)
  t.ok(refusal instanceof TransportError)
  if (refusal instanceof TransportError) t.alike(refusal.detail, error)
})

function askWelcome(
  network: Network,
  member: Node,
  { timeoutMs = 8_000, signal }: { timeoutMs?: number; signal?: AbortSignal } = {}
): ReturnType<typeof requestWelcome> {
  const [peer] = peersOf([member])
  return requestWelcome({
    network,
    memberKey: member.keyPair.publicKey,
    addresses: peer?.addresses ?? [],
    keyPair: keyPairOf('asker'),
    deadlineMs: systemClock.nowMs() + timeoutMs,
    clock: systemClock,
    timers: systemTimers,
    ...(signal === undefined ? {} : { signal })
  })
}
