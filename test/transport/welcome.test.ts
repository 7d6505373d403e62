// A node that asks for its welcome, against members that say too much, too little, or something else.
// FUZZ_SEED=n repeats a run of noise.

import test from 'brittle'
import type { Assert } from 'brittle'
import { seal } from '../../lib/crypto.ts'
import { encode } from '../../lib/encoding.ts'
import { HELLO_DEADLINE_MS } from '../../lib/limits.ts'
import { SeededRandom } from '../../lib/random.ts'
import {
  errorEncoding,
  helloEncoding,
  MAX_PART_BYTES,
  partEncoding,
  partsOf,
  welcomeEncoding
} from '../../lib/transport/encoding.ts'
import type { Hello } from '../../lib/transport/encoding.ts'
import { MemoryHub } from '../../lib/transport/memory-network.ts'
import { Mux } from '../../lib/transport/mux.ts'
import type { Connection } from '../../lib/transport/network.ts'
import type { Welcome } from '../../lib/transport/transport.ts'
import { requestWelcome } from '../../lib/transport/welcome.ts'
import type { ToldWelcome } from '../../lib/transport/welcome.ts'
import { CLUSTER_ID, helloOf, keyPairOf, secretOf, welcomeOf } from './harness.ts'
import { VirtualTime } from './virtual-time.ts'

const ASKER = keyPairOf('asker')
const MEMBER = keyPairOf('member')
const WELCOME = welcomeOf(5, ASKER.publicKey)
const SEED = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

type Script = (mux: Mux) => void

interface Scene {
  readonly time: VirtualTime
  /** connections that the member got */
  readonly calls: Connection[]
  /** how it ended; undefined: it has not */
  result(): ToldWelcome | null | Error | undefined
}

/** The member does what `script` says when it is dialled, and `onAsked` when it is asked for the welcome. */
async function sceneOf(
  script: Script,
  onAsked: Script = () => {},
  deadlineMs = 60_000
): Promise<Scene> {
  const time = new VirtualTime()
  const hub = new MemoryHub({ clock: time, timers: time, delayMs: 1, linkTimeoutMs: 2_500 })
  const listening = hub.network(MEMBER, { host: '127.0.0.1', port: 1 })
  const calls: Connection[] = []
  await listening.open()
  await listening.listen({
    onKnock: () => true,
    onConnection: (connection) => {
      calls.push(connection)
      const mux: Mux = new Mux(connection, 'unproven', {
        onMessage: () => onAsked(mux),
        onDrain: () => {},
        onClose: () => {}
      })
      mux.open('hello')
      script(mux)
    },
    onFound: () => false,
    onNetworkChange: () => {}
  })
  const network = hub.network(ASKER, { host: '127.0.0.1', port: 2 })
  await network.open()
  let result: ToldWelcome | null | Error | undefined
  requestWelcome({
    network,
    memberKey: MEMBER.publicKey,
    addresses: [],
    keyPair: ASKER,
    deadlineMs,
    clock: time,
    timers: time
  }).then(
    (told) => (result = told),
    (error: unknown) => (result = error instanceof Error ? error : new Error(String(error)))
  )
  await time.pass(20)
  return { time, calls, result: () => result }
}

function hello(mux: Mux, more: Partial<Hello> = {}): void {
  const own = { ...helloOf(1), clusterId: CLUSTER_ID, versions: { from: 1, to: 1 }, features: 0 }
  mux.send('hello', 'hello', encode(helloEncoding, { ...own, ...more }))
}

function welcome(mux: Mux, told: Welcome = WELCOME): void {
  for (const part of partsOf(encode(welcomeEncoding, told))) mux.send('hello', 'welcome', part)
}

/** The connection ended, nothing was believed, and the member is asked again a second later. */
async function isTriedAgain(t: Assert, scene: Scene): Promise<void> {
  t.is(scene.result(), undefined)
  const { length } = scene.calls
  t.is(length, 1)
  await scene.time.pass(1_050)
  t.is(scene.calls.length, 2)
}

void test('the hello names the cluster, and the welcome is asked for it', async (t) => {
  const scene = await sceneOf(hello, welcome)
  t.alike(scene.result(), { kind: 'told', clusterId: CLUSTER_ID, welcome: WELCOME })
  await scene.time.pass(10_000)
  t.is(scene.calls.length, 1, 'and that is all')
})

void test('a welcome in many parts is put together', async (t) => {
  const { publicKey } = ASKER
  const others = Array.from({ length: 100 }, (_, at) => ({
    id: at + 10,
    publicKey: keyPairOf(`member ${at}`).publicKey,
    role: 'learner' as const,
    addresses: [{ host: '10.0.0.1', port: 4_000 }]
  }))
  const self = { id: 5, publicKey, role: 'voter' as const, addresses: [] }
  const large = { ...WELCOME, configuration: { members: [self, ...others], outgoing: [] } }
  t.ok(encode(welcomeEncoding, large).byteLength > MAX_PART_BYTES)
  const scene = await sceneOf(hello, (mux) => welcome(mux, large))
  t.alike(scene.result(), { kind: 'told', clusterId: CLUSTER_ID, welcome: large })
})

const NOT_BELIEVED: Readonly<Record<string, readonly [Script, Script]>> = {
  'that is sealed to another key': [
    hello,
    (mux) => {
      const sealedSecret = seal(secretOf(1), MEMBER.publicKey, new SeededRandom(1))
      welcome(mux, { ...WELCOME, sealedSecret })
    }
  ],
  'whose configuration lacks this node': [
    hello,
    (mux) => welcome(mux, { ...welcomeOf(5, MEMBER.publicKey), sealedSecret: WELCOME.sealedSecret })
  ],
  'whose id is another one’s': [hello, (mux) => welcome(mux, { ...WELCOME, id: 6 })],
  'that comes before the hello': [welcome, () => {}],
  'that is no welcome': [
    hello,
    (mux) => {
      const part = encode(partEncoding, { isLast: true, bytes: new Uint8Array(40) })
      mux.send('hello', 'welcome', part)
    }
  ],
  'that never ends': [
    hello,
    (mux) => {
      const bytes = new Uint8Array(MAX_PART_BYTES)
      for (let count = 0; count < 12; count++)
        mux.send('hello', 'welcome', encode(partEncoding, { isLast: false, bytes }))
    }
  ]
}

for (const [what, [script, onAsked]] of Object.entries(NOT_BELIEVED)) {
  void test(`a welcome ${what} is not believed`, async (t) => {
    const scene = await sceneOf(script, onAsked)
    await isTriedAgain(t, scene)
  })
}

void test('a second hello, a proof, a question back and noise end the connection', async (t) => {
  const scripts: Readonly<Record<string, Script>> = {
    'a second hello': (mux) => {
      hello(mux)
      hello(mux)
    },
    'a proof': (mux) => void mux.send('hello', 'proof', new Uint8Array(32)),
    'a question back': (mux) => void mux.send('hello', 'askWelcome', CLUSTER_ID),
    'no hello': (mux) => void mux.send('hello', 'hello', new Uint8Array(3)),
    'another channel': (mux) => mux.open('raft')
  }
  for (const [what, script] of Object.entries(scripts)) {
    t.comment(what)
    await isTriedAgain(t, await sceneOf(script))
  }
})

void test('a member that says nothing is left after the deadline of a hello', async (t) => {
  for (const script of [() => {}, hello]) {
    const scene = await sceneOf(script)
    await scene.time.pass(HELLO_DEADLINE_MS)
    t.is(scene.calls.length, 1)
    await scene.time.pass(1_100)
    t.is(scene.calls.length, 2)
    t.is(scene.result(), undefined)
  }
})

void test('what is asked ends at its deadline, also in the middle of a conversation', async (t) => {
  const scene = await sceneOf(hello, () => {}, 3_000)
  await scene.time.pass(2_900)
  t.is(scene.result(), undefined)
  await scene.time.pass(200)
  t.is(scene.result(), null)
  await scene.time.pass(60_000)
  t.is(scene.calls.length, 1)
})

void test('a refusal for good is told, one for now is not', async (t) => {
  const refused = (code: 'MEMBER_REMOVED' | 'BUSY') => (mux: Mux) => {
    mux.send('hello', 'refusal', encode(errorEncoding, { code, message: 'no' }))
    mux.finish('refused')
  }
  const removed = await sceneOf(refused('MEMBER_REMOVED'))
  const error = removed.result()
  t.ok(error instanceof Error && 'code' in error && error.code === 'MEMBER_REMOVED')
  await isTriedAgain(t, await sceneOf(refused('BUSY')))
})

void test('a member of another version says which', async (t) => {
  const scene = await sceneOf((mux) => hello(mux, { versions: { from: 7, to: 9 } }))
  const error = scene.result()
  t.ok(error instanceof Error && 'code' in error && error.code === 'VERSION_MISMATCH')
})

void test('noise is noise', async (t) => {
  t.comment(`FUZZ_SEED=${SEED}`)
  const random = new SeededRandom(SEED)
  const honest = partsOf(encode(welcomeEncoding, WELCOME))[0] ?? new Uint8Array(1)
  let told = 0
  for (let round = 0; round < 300; round++) {
    const bytes = honest.slice()
    const changeCount = 1 + (random.uint32() % 4)
    for (let count = 0; count < changeCount; count++)
      bytes[random.uint32() % bytes.byteLength] = random.uint32() % 256
    const scene = await sceneOf(hello, (mux) => void mux.send('hello', 'welcome', bytes))
    const result = scene.result()
    if (result === undefined) continue
    // an address, an epoch or a role may differ: never the key, nor what the secret is
    told++
    t.ok(result !== null && !(result instanceof Error), 'told')
  }
  t.ok(told < 150, `${told} of 300 were welcomes all the same`)
})
