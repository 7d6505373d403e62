// A live member against callers of every role that say frames of every kind: honest ones, honest ones
// with a few bytes changed, and noise. Whatever comes, nothing is thrown, nothing is told upward that
// was not proven, and an honest member gets its link afterwards. FUZZ_SEED=n repeats a run.

import test from 'brittle'
import type { KeyPair } from '../../lib/crypto.ts'
import { sign } from '../../lib/crypto.ts'
import { bytesOf, encode, hexOf } from '../../lib/encoding.ts'
import { encodeMessage } from '../../lib/raft/encoding.ts'
import { SeededRandom } from '../../lib/random.ts'
import { encodeEnvelope, joinRequestEncoding } from '../../lib/transport/encoding.ts'
import type { HandshakeAction } from '../../lib/transport/handshake.ts'
import { Handshake } from '../../lib/transport/handshake.ts'
import { joinStatement } from '../../lib/transport/join-proofs.ts'
import { MemoryHub } from '../../lib/transport/memory-network.ts'
import type { MemoryNetwork } from '../../lib/transport/memory-network.ts'
import type { Connection } from '../../lib/transport/network.ts'
import { MESSAGES, typeOf } from '../../lib/transport/permissions.ts'
import { CLUSTER_ID, helloOf, keyPairOf, makeNode, secretOf, TableTrust } from './harness.ts'
import type { Node } from './harness.ts'
import { VirtualTime } from './virtual-time.ts'

const FRAME_COUNT = Number(process.env['FUZZ_FRAMES'] ?? 100_000)
const SEED = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const FRAMES_PER_CALL = 50

const CALLERS = ['member', 'unproven', 'invite', 'refused'] as const

class Fuzz {
  readonly time = new VirtualTime()
  readonly #hub = new MemoryHub({
    clock: this.time,
    timers: this.time,
    delayMs: 1,
    linkTimeoutMs: 2_500
  })
  readonly #random = new SeededRandom(SEED)
  readonly node: Node
  readonly #networks = new Map<string, MemoryNetwork>()
  frameCount = 0
  linkCount = 0

  constructor() {
    const network = this.#hub.network(keyPairOf('a'), { host: '127.0.0.1', port: 1 })
    this.node = makeNode({ name: 'a', id: 1, network, clock: this.time, timers: this.time })
    const { trust } = this.node
    const error = { code: 'TICKET_EXPIRED', message: 'too late' } as const
    trust.fallback = { kind: 'unproven' }
    trust.setStanding(keyPairOf('member').publicKey, { kind: 'member', id: 2 })
    trust.setStanding(keyPairOf('invite').publicKey, { kind: 'invite', proofKey: secretOf(4) })
    trust.setStanding(keyPairOf('refused').publicKey, { kind: 'refused', error })
  }

  below(limit: number): number {
    return Math.floor((this.#random.uint32() / 2 ** 32) * limit)
  }

  async networkOf(name: string): Promise<MemoryNetwork> {
    const known = this.#networks.get(name)
    if (known !== undefined) return known
    const port = this.#networks.size + 2
    const network = this.#hub.network(keyPairOf(name), { host: '127.0.0.1', port })
    await network.open()
    this.#networks.set(name, network)
    return network
  }

  async call(): Promise<void> {
    const name = CALLERS[this.below(CALLERS.length)] ?? 'member'
    const network = await this.networkOf(name)
    const calls: Call[] = []
    network.dial({ publicKey: this.node.keyPair.publicKey, addresses: [] }, (result) => {
      if (result.kind === 'connected') calls.push(new Call(this, result.connection, name))
    })
    await this.time.pass(5)
    const [call] = calls
    if (call !== undefined) {
      for (let count = 0; count < FRAMES_PER_CALL && !call.isOver; count++) {
        call.say()
        if (this.below(4) === 0) await this.time.pass(3)
      }
      await this.time.pass(5)
      call.close()
    }
    await this.time.pass(this.below(600))
  }

  noise(limit: number): Uint8Array {
    return this.#random.fill(new Uint8Array(this.below(limit)))
  }

  /** The frame, or one like it. */
  mutated(frame: Uint8Array): Uint8Array {
    const dice = this.below(20)
    if (dice < 12) return frame
    if (dice < 14) return frame.subarray(0, this.below(frame.byteLength + 1))
    if (dice < 15) return new Uint8Array([...frame, ...this.noise(40)])
    const changed = frame.slice()
    for (let count = this.below(4); count >= 0; count--) {
      changed[this.below(changed.byteLength)] = this.below(256)
    }
    return changed
  }
}

/** A caller that can do everything honestly, and sometimes does. */
class Call {
  readonly #fuzz: Fuzz
  readonly #connection: Connection
  readonly #keyPair: KeyPair
  readonly #handshake: Handshake
  /** honest frames that are due */
  readonly #due: Uint8Array[] = []
  #isLinked = false
  isOver = false

  constructor(fuzz: Fuzz, connection: Connection, name: (typeof CALLERS)[number]) {
    this.#fuzz = fuzz
    this.#connection = connection
    this.#keyPair = keyPairOf(name)
    const trust = new TableTrust(helloOf(2))
    trust.fallback = { kind: 'member', id: 1 }
    const { remotePublicKey, handshakeHash } = connection
    this.#handshake = new Handshake({ trust, remotePublicKey, handshakeHash, isInitiator: true })
    connection.start({
      onFrame: (bytes) => this.#hear(bytes),
      onDrain: () => {},
      onClose: () => {
        this.isOver = true
      }
    })
    this.#due.push(openOf(1, name === 'invite' ? 'aspen/join' : 'aspen/hello'))
    if (name === 'invite') this.#due.push(this.#request())
    else this.#carryOut(this.#handshake.start())
  }

  say(): void {
    this.#fuzz.frameCount++
    const honest = this.#due.shift() ?? this.#more()
    const isNoise = this.#fuzz.below(100) === 0
    this.#connection.write(isNoise ? this.#fuzz.noise(60) : this.#maybeMutated(honest))
  }

  close(): void {
    this.#connection.close('done')
  }

  /** Before the link mostly honest, or nobody would ever have one. */
  #maybeMutated(frame: Uint8Array): Uint8Array {
    if (!this.#isLinked && this.#fuzz.below(8) !== 0) return frame
    return this.#isLinked && this.#fuzz.below(4) !== 0 ? frame : this.#fuzz.mutated(frame)
  }

  #hear(bytes: Uint8Array): void {
    const [channel, type = 0] = bytes
    const kind = MESSAGES.hello[type]
    if (channel !== 1 || kind === undefined || this.#isLinked) return
    this.#carryOut(this.#handshake.receive(kind, bytes.slice(2)))
  }

  #carryOut(actions: readonly HandshakeAction[]): void {
    for (const action of actions) {
      if (action.kind === 'send') {
        this.#due.push(new Uint8Array([1, typeOf('hello', action.message), ...action.bytes]))
      }
      if (action.kind !== 'accept') continue
      this.#isLinked = true
      this.#fuzz.linkCount++
      this.#due.push(openOf(2, 'aspen/raft'), openOf(3, 'aspen/rpc'), openOf(4, 'aspen/snapshot'))
    }
  }

  #more(): Uint8Array {
    const fuzz = this.#fuzz
    if (!this.#isLinked) return new Uint8Array([1, fuzz.below(6), ...fuzz.noise(80)])
    const term = fuzz.below(5)
    const id = fuzz.below(2_000)
    const kind = (['request', 'request', 'answer', 'busy'] as const)[fuzz.below(4)] ?? 'busy'
    const frames: (() => readonly number[])[] = [
      () => [2, 0, ...encodeMessage({ kind: 'timeoutNow', term })],
      () => [
        2,
        0,
        ...encodeMessage({ kind: 'heartbeat', term, boot: 1, round: 1, commitIndex: id })
      ],
      () => [3 + fuzz.below(2), 0, ...encodeEnvelope({ kind, id, payload: fuzz.noise(200) })],
      () => [2 + fuzz.below(3), 1, 0x20, 0x4e, 0, 0, ...fuzz.noise(12_000)],
      () => [2 + fuzz.below(3), 2, ...fuzz.noise(12_000)],
      () => [2 + fuzz.below(3), fuzz.below(5), ...fuzz.noise(40)]
    ]
    return new Uint8Array(frames[fuzz.below(frames.length)]?.() ?? [])
  }

  #request(): Uint8Array {
    const { publicKey, secretKey } = this.#keyPair
    const statement = joinStatement(this.#connection.handshakeHash, CLUSTER_ID, publicKey)
    const signature = sign(statement, secretKey)
    const request = { clusterId: CLUSTER_ID, publicKey, name: 'n', version: '1', addresses: [] }
    return new Uint8Array([1, 1, ...encode(joinRequestEncoding, { ...request, signature })])
  }
}

function openOf(number: number, name: string): Uint8Array {
  const text = bytesOf(name)
  return new Uint8Array([0, 1, number, text.byteLength, ...text, 0])
}

void test('hostile frames end connections and nothing else', { timeout: 300_000 }, async (t) => {
  t.comment(`FUZZ_SEED=${SEED}`)
  const errors: unknown[] = []
  const onError = (error: unknown): void => void errors.push(error)
  process.on('uncaughtException', onError)
  const fuzz = new Fuzz()
  const { node, time } = fuzz
  await node.links.open()
  while (fuzz.frameCount < FRAME_COUNT && errors.length === 0) await fuzz.call()
  await time.pass(20_000)
  process.off('uncaughtException', onError)
  t.alike(errors, [])
  const { messages, joins, events } = node.recorder
  t.comment(`${fuzz.linkCount} links, ${messages.length} messages, ${joins.length} joins`)
  t.ok(messages.length > 100 && joins.length > 100, 'honest frames came through')
  t.alike([...new Set(messages.map(({ from }) => from))], [2])
  t.ok(joins.every((join) => hexOf(join.publicKey) === hexOf(keyPairOf('invite').publicKey)))
  t.ok(events.filter((event) => event.startsWith('up ')).every((event) => event === 'up 2'))
  t.alike(node.links.links(), [])
  const last = await fuzz.networkOf('member')
  const friend = makeNode({ name: 'member', id: 2, network: last, clock: time, timers: time })
  friend.trust.fallback = { kind: 'member', id: 1 }
  await friend.links.open()
  friend.links.setPeers([{ id: 1, publicKey: node.keyPair.publicKey, addresses: [] }])
  await time.pass(10_000)
  t.is(node.links.links().length, 1, 'a member is linked as ever')
  await friend.links.close()
  await node.links.close()
})
