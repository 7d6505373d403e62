// The one place that leans on private parts of hyperdht's server: it must fail here when they change.

import { randomBytes } from 'node:crypto'
import test from 'brittle'
import type { Assert } from 'brittle'
import { present } from '../../lib/assert.ts'
import type { KeyPair } from '../../lib/crypto.ts'
import { hexOf } from '../../lib/encoding.ts'
import { MAX_REFUSED_HANDSHAKES } from '../../lib/limits.ts'
import type { CappedStream } from '../../lib/transport/guarded-dht.ts'
import { GuardedDHT } from '../../lib/transport/guarded-dht.ts'
import { keyPairOf, until } from './harness.ts'

const LOOPBACK = '127.0.0.1'

async function open(t: Assert, name: string, friend: KeyPair | null = null) {
  const inbound: CappedStream[] = []
  const { publicKey, secretKey } = keyPairOf(name)
  const keyPair = { publicKey: Buffer.from(publicKey), secretKey: Buffer.from(secretKey) }
  const dht = new GuardedDHT(
    { bootstrap: [], keyPair, host: LOOPBACK, port: 0, firewalled: false, ephemeral: false },
    {
      mayKnock: (key) => friend !== null && hexOf(key) === hexOf(friend.publicKey),
      mayDial: () => true,
      onInbound: (stream) => {
        stream.on('error', () => {})
        inbound.push(stream)
      }
    }
  )
  t.teardown(() => dht.destroy({ force: true }))
  await dht.fullyBootstrapped()
  return { dht, keyPair, inbound }
}

void test('handshakes that are not let in are forgotten, the oldest first, and friends get in', async (t) => {
  const friend = await open(t, 'friend')
  const { dht, keyPair, inbound } = await open(t, 'server', friend.keyPair)
  const server = dht.createServer()
  await server.listen(keyPair)
  const { _connects: connects } = server
  const onPeerHandshake: unknown = Reflect.get(server, '_onpeerhandshake')
  if (typeof onPeerHandshake !== 'function') throw new Error('hyperdht has changed')
  const from = { host: LOOPBACK, port: 9 }
  const knock = async (noise: Uint8Array): Promise<unknown> =>
    await Reflect.apply(onPeerHandshake, server, [
      { noise, peerAddress: null },
      { from, to: from }
    ])
  const first = randomBytes(200)
  t.is(await knock(first), null, 'no answer')
  t.ok(connects.has(first.toString('hex')), 'a repeat is not judged again')
  for (let count = 0; count < MAX_REFUSED_HANDSHAKES; count++) await knock(randomBytes(200))
  t.absent(connects.has(first.toString('hex')), 'the oldest is gone')
  for (let count = 0; count < 500; count++) await knock(randomBytes(200))
  t.is(connects.size, MAX_REFUSED_HANDSHAKES)

  const { port } = present(dht.address(), 'the address of the DHT')
  const stream = friend.dht.dial(keyPair.publicKey, {
    keyPair: friend.keyPair,
    relayAddresses: [{ host: LOOPBACK, port }]
  })
  stream.on('error', () => {})
  await until('the friend is in', () => inbound.length === 1)
  t.alike(inbound[0]?.remotePublicKey, friend.keyPair.publicKey)
  t.ok(connects.size <= MAX_REFUSED_HANDSHAKES + 1)
  for (const one of [stream, ...inbound]) one.destroy()
  await server.close()
})
