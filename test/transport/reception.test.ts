// A member's end of a join against joiners that do not keep to the protocol.

import test from 'brittle'
import { sign } from '../../lib/crypto.ts'
import { decode, encode } from '../../lib/encoding.ts'
import { JOIN_DEADLINE_MS, MAX_CONNECTIONS_PER_INVITE } from '../../lib/limits.ts'
import {
  joinReplyEncoding,
  joinRequestEncoding,
  Parts,
  proofEncoding
} from '../../lib/transport/encoding.ts'
import type { SignedJoinRequest } from '../../lib/transport/encoding.ts'
import { joinStatement, sponsorProof } from '../../lib/transport/join-proofs.ts'
import { MemoryHub } from '../../lib/transport/memory-network.ts'
import { Mux } from '../../lib/transport/mux.ts'
import type { Connection } from '../../lib/transport/network.ts'
import { CLUSTER_ID, keyPairOf, makeNode, secretOf, welcomeOf } from './harness.ts'
import type { Node } from './harness.ts'
import { VirtualTime } from './virtual-time.ts'

const INVITE = keyPairOf('invite')
const PROOF_KEY = secretOf(4)
const JOINER = keyPairOf('joiner')

interface Caller {
  readonly connection: Connection
  readonly mux: Mux
  readonly heard: string[]
}

interface Scene {
  readonly time: VirtualTime
  readonly node: Node
  call(): Promise<Caller>
  close(): Promise<void>
}

async function sceneOf(): Promise<Scene> {
  const time = new VirtualTime()
  const hub = new MemoryHub({ clock: time, timers: time, delayMs: 1, linkTimeoutMs: 2_500 })
  const network = hub.network(keyPairOf('a'), { host: '127.0.0.1', port: 1 })
  const node = makeNode({ name: 'a', id: 1, network, clock: time, timers: time })
  node.trust.setStanding(INVITE.publicKey, { kind: 'invite', proofKey: PROOF_KEY })
  await node.links.open()
  const joining = hub.network(JOINER, { host: '127.0.0.1', port: 2 })
  await joining.open()
  const call = async (): Promise<Caller> => {
    const callers: Caller[] = []
    joining.dial({ publicKey: network.publicKey, keyPair: INVITE, addresses: [] }, (result) => {
      if (result.kind === 'connected') callers.push(callerOn(result.connection))
    })
    await time.pass(10)
    const [caller] = callers
    if (caller === undefined) throw new Error('nobody answered')
    return caller
  }
  return { time, node, call, close: () => node.links.close() }
}

/** Listens, and says only what the test says. */
function callerOn(connection: Connection): Caller {
  const heard: string[] = []
  const parts = new Parts()
  const mux = new Mux(connection, 'sponsor', {
    onMessage: (_channel, type, bytes) => {
      if (type === 0) {
        const { handshakeHash, remotePublicKey } = connection
        const expected = sponsorProof(PROOF_KEY, handshakeHash, remotePublicKey)
        const isRight = Buffer.compare(decode(proofEncoding, bytes), expected) === 0
        heard.push(isRight ? 'proof' : 'wrong proof')
        return
      }
      const whole = parts.add(bytes)
      if (whole !== null) heard.push(decode(joinReplyEncoding, whole).kind)
    },
    onDrain: () => {},
    onClose: () => heard.push('closed')
  })
  mux.open('join')
  return { connection, mux, heard }
}

function requestOn(connection: Connection, changes: Partial<SignedJoinRequest> = {}): Uint8Array {
  const { publicKey, secretKey } = JOINER
  const statement = joinStatement(connection.handshakeHash, CLUSTER_ID, publicKey)
  return encode(joinRequestEncoding, {
    clusterId: CLUSTER_ID,
    publicKey,
    name: 'n',
    version: '0.1.0',
    addresses: [],
    signature: sign(statement, secretKey),
    ...changes
  })
}

void test('an honest joiner is proven to, asks once, is answered and let go', async (t) => {
  const { time, node, call, close } = await sceneOf()
  node.recorder.join = ({ publicKey }) => ({ kind: 'admitted', welcome: welcomeOf(5, publicKey) })
  const { connection, mux, heard } = await call()
  t.alike(heard, ['proof'])
  mux.send('join', 'request', requestOn(connection))
  await time.pass(10)
  t.alike(heard, ['proof', 'admitted', 'closed'])
  await close()
})

void test('a request that its node key did not sign for this handshake reaches nobody', async (t) => {
  const { time, node, call, close } = await sceneOf()
  const other = await call()
  const forged: Partial<SignedJoinRequest>[] = [
    { signature: new Uint8Array(64) },
    { publicKey: keyPairOf('victim').publicKey },
    { clusterId: new Uint8Array(16) },
    {
      signature: sign(
        joinStatement(other.connection.handshakeHash, CLUSTER_ID, JOINER.publicKey),
        JOINER.secretKey
      )
    }
  ]
  other.mux.close('only its handshake was needed')
  for (const changes of forged) {
    const { connection, mux, heard } = await call()
    mux.send('join', 'request', requestOn(connection, changes))
    await time.pass(10)
    t.alike(heard, ['proof', 'closed'])
  }
  t.is(node.recorder.joins.length, 0)
  await close()
})

void test('a second request on one connection closes it', async (t) => {
  const { time, node, call, close } = await sceneOf()
  node.recorder.join = () => null
  const { connection, mux, heard } = await call()
  mux.send('join', 'request', requestOn(connection))
  mux.send('join', 'request', requestOn(connection))
  await time.pass(10)
  t.alike(heard, ['proof', 'closed'])
  t.is(node.recorder.joins.length, 1)
  await close()
})

void test('a joiner without an answer in time hears busy, one that says nothing as well', async (t) => {
  const { time, node, call, close } = await sceneOf()
  node.recorder.join = () => null
  const asking = await call()
  asking.mux.send('join', 'request', requestOn(asking.connection))
  const silent = await call()
  await time.pass(JOIN_DEADLINE_MS + 100)
  t.alike(asking.heard, ['proof', 'busy', 'closed'])
  t.alike(silent.heard, ['proof', 'busy', 'closed'])
  await close()
})

void test('a joiner beyond the cap hears busy at once, and has a place when one is free', async (t) => {
  const { time, call, close } = await sceneOf()
  const first = await call()
  for (let count = 1; count < MAX_CONNECTIONS_PER_INVITE; count++) await call()
  const beyond = await call()
  await time.pass(10)
  t.alike(beyond.heard, ['busy', 'closed'])
  first.mux.close('gone')
  await time.pass(10)
  const next = await call()
  t.alike(next.heard, ['proof'])
  await close()
})

void test('an answer after the joiner has gone is nothing', async (t) => {
  const { time, node, call, close } = await sceneOf()
  const answers: (() => void)[] = []
  node.recorder.onJoin = (_request, answer) => void answers.push(() => answer({ kind: 'busy' }))
  const { connection, mux, heard } = await call()
  mux.send('join', 'request', requestOn(connection))
  await time.pass(10)
  mux.close('gone')
  await time.pass(10)
  answers[0]?.()
  await time.pass(JOIN_DEADLINE_MS)
  t.alike(heard, ['proof', 'closed'])
  await close()
})
