// The client against a real server on a socket and on TCP: what it sends, what it makes of answers.

import test from 'brittle'
import type { Assert } from 'brittle'
import fc from 'fast-check'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { Client } from '../../lib/client/client.ts'
import { bytesOf } from '../../lib/encoding.ts'
import {
  AspenError,
  CODES,
  ConfigError,
  isErrorCode,
  KeyValueStoreError
} from '../../lib/errors.ts'
import { MAX_KEY_SIZE, MAX_VALUE_SIZE } from '../../lib/limits.ts'
import { commandJson } from '../../lib/service/kv-json.ts'
import type { Operation } from '../../lib/service/write-request.ts'
import type { Change, ChangeSet } from '../../lib/state-machine/command.ts'
import { openServer, TOKEN } from '../http/open-server.ts'
import type { Opened } from '../http/open-server.ts'

async function openClient(t: Assert): Promise<Opened & { client: Client }> {
  const opened = await openServer(t)
  const client = Client.connect({ socketPath: opened.server.socketPath })
  t.teardown(() => client.close(), { order: -1 })
  return { ...opened, client }
}

async function errorOf(promise: Promise<unknown>): Promise<AspenError | null> {
  try {
    await promise
    return null
  } catch (error) {
    if (error instanceof AspenError) return error
    throw error
  }
}

test('a put and a get travel over the Unix socket', async (t) => {
  const { client } = await openClient(t)
  const put = await client.kv.put(bytesOf('app/port'), bytesOf('8080'))
  t.alike(put, { revision: 11, previousRevision: 0 })
  const got = await client.kv.get(bytesOf('app/port'))
  t.alike(got, {
    item: {
      key: bytesOf('app/port'),
      value: bytesOf('8080'),
      revision: 11,
      createRevision: 11,
      version: 1
    },
    revision: 11,
    consistency: 'linearizable',
    leaderContactMs: null
  })
})

test('a put and a get travel over TCP with the token', async (t) => {
  const { server } = await openServer(t)
  const client = Client.connect({ url: server.url, token: TOKEN })
  t.teardown(() => client.close(), { order: -1 })
  await client.kv.put(bytesOf('a'), Uint8Array.of(0, 255))
  const { item } = await client.kv.get(bytesOf('a'))
  t.alike(item?.value, Uint8Array.of(0, 255))
})

test('a missing key is null with the revision at which it was missing, and a delete says so', async (t) => {
  const { client } = await openClient(t)
  const got = await client.kv.get(bytesOf('nope'), { consistency: 'stale' })
  t.alike(got, { item: null, revision: 10, consistency: 'stale', leaderContactMs: 40 })
  const none = await client.kv.delete({ key: 'nope' })
  t.alike(none, { key: 'nope', deleted: false, revision: 11, previousRevision: 0 })
  await client.kv.put(bytesOf('a'), bytesOf(''))
  const gone = await client.kv.delete({ key: bytesOf('a') })
  t.alike(gone, { key: bytesOf('a'), deleted: true, revision: 13, previousRevision: 12 })
})

test('options reach the node', async (t) => {
  const { client, node } = await openClient(t)
  await client.kv.get(bytesOf('a'), { timeoutMs: 321, consistency: 'stale' })
  t.alike(node.lastOptions, { timeoutMs: 321, consistency: 'stale' })
  await client.kv.put(bytesOf('a'), bytesOf('1'), { timeoutMs: 322 })
  t.alike(node.lastOptions, { timeoutMs: 322 })
  await client.listTickets({ timeoutMs: 323 })
  t.alike(node.lastOptions, { timeoutMs: 323 })
  await client.kv.put(bytesOf('b'), bytesOf('1'), { ifAbsent: true })
  t.alike(node.lastCommand?.changes[0]?.condition, { kind: 'absent' })
})

function operationOf({ condition, ...change }: Change): Operation {
  const expected =
    condition?.kind === 'revision'
      ? { ifRevision: condition.revision }
      : { ifAbsent: condition !== null }
  if (change.kind === 'delete') return { Delete: { key: change.key, ...expected } }
  return { Set: { key: change.key, value: change.value, ...expected } }
}

const SEED = Number(process.env['ASPEN_TEST_SEED'] ?? Date.now() % 1_000_000)

test('any command arrives as it was given', async (t) => {
  t.comment(`seed ${SEED}`)
  const { client, node } = await openClient(t)
  const bytes = (min: number): fc.Arbitrary<Uint8Array> =>
    fc.oneof(
      fc.uint8Array({ minLength: min, maxLength: 12 }),
      fc.string({ minLength: min, maxLength: 12 }).map(bytesOf)
    )
  const condition = fc.oneof(
    { weight: 3, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constant({ kind: 'absent' as const }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('revision' as const),
        revision: fc.integer({ min: 1 })
      })
    }
  )
  const change: fc.Arbitrary<Change> = fc.oneof(
    fc.record({ kind: fc.constant('put' as const), key: bytes(1), value: bytes(0), condition }),
    fc.record({ kind: fc.constant('delete' as const), key: bytes(1), condition })
  )
  const property = fc.asyncProperty(fc.array(change, { maxLength: 4 }), async (changes) => {
    const command: ChangeSet = { changes }
    await errorOf(client.kv.write({ command: { Batch: { operations: changes.map(operationOf) } } }))
    const text = (value: unknown): string =>
      JSON.stringify(value, (_key, part) =>
        part instanceof Uint8Array ? Buffer.from(part).toString('hex') : part
      )
    if (text(node.lastCommand) !== text(command)) throw new Error(text([node.lastCommand, command]))
  })
  await fc.assert(property, { seed: SEED, numRuns: 500 })
  t.pass('all of them')
})

test('commands are said in the seed’s forms where one fits', (t) => {
  const put = (key: string, value: string): Change => ({
    kind: 'put',
    key: bytesOf(key),
    value: bytesOf(value),
    condition: null
  })
  const del = (key: string): Change => ({ kind: 'delete', key: bytesOf(key), condition: null })
  t.alike(commandJson({ changes: [put('a', '1')] }), { Set: { key: 'a', value: '1' } })
  t.alike(commandJson({ changes: [del('a')] }), { Delete: { key: 'a' } })
  t.alike(commandJson({ changes: [put('a', '1'), put('b', '2')] }), {
    SetMulti: {
      pairs: [
        ['a', '1'],
        ['b', '2']
      ]
    }
  })
  t.alike(commandJson({ changes: [del('a'), del('b')] }), { DeleteMulti: { keys: ['a', 'b'] } })
  t.alike(commandJson({ changes: [del('a'), put('b', '1')] }), {
    Batch: { operations: [{ Delete: { key: 'a' } }, { Set: { key: 'b', value: '1' } }] }
  })
})

test('values of every kind come back exactly, up to the limits and not beyond', async (t) => {
  const { client } = await openClient(t)
  const values = [
    new Uint8Array(0),
    Uint8Array.of(0),
    Uint8Array.of(0xef, 0xbb, 0xbf, 0x41),
    bytesOf('€\u{1f332}\u0000"\\'),
    Uint8Array.from({ length: 256 }, (_, index) => index),
    new Uint8Array(MAX_VALUE_SIZE).fill(1),
    new Uint8Array(MAX_VALUE_SIZE).fill(0xff)
  ]
  const key = new Uint8Array(MAX_KEY_SIZE).fill(0xfe)
  for (const value of values) {
    await client.kv.put(key, value)
    const { item } = await client.kv.get(key)
    t.ok(Buffer.compare(item?.value ?? key, value) === 0, `${value.byteLength} bytes`)
    const page = await client.kv.scan({ prefix: key.subarray(0, 3) })
    t.ok(Buffer.compare(page.items[0]?.value ?? key, value) === 0)
  }
  const tooLarge = await errorOf(client.kv.put(key, new Uint8Array(MAX_VALUE_SIZE + 1)))
  t.is(tooLarge?.code, 'VALUE_TOO_LARGE')
  const longKey = await errorOf(client.kv.get(new Uint8Array(0)))
  t.is(longKey, null, 'an empty key is for the node to refuse')
})

test('a full batch is written in one command', async (t) => {
  const { client } = await openClient(t)
  const pairs = Array.from(
    { length: 100 },
    (_, index) => [`k${index}`, new Uint8Array(80_000).fill(index)] as const
  )
  const written = await client.kv.write({ command: { SetMulti: { pairs } } })
  t.is(written.changes.length, 100)
  const { item } = await client.kv.get(bytesOf('k1'))
  t.ok(
    item?.value.every((byte) => byte === 1),
    'control characters are text too'
  )
})

test('scans page on with binary keys', async (t) => {
  const { client } = await openClient(t)
  const keys = [Uint8Array.of(1, 0xff, 0), Uint8Array.of(1, 0xff, 1), Uint8Array.of(1, 0xff, 2)]
  for (const key of keys) await client.kv.put(key, key)
  const prefix = Uint8Array.of(1, 0xff)
  const first = await client.kv.scan({ prefix, limit: 2 })
  t.alike(
    first.items.map(({ key }) => key),
    keys.slice(0, 2)
  )
  t.is(first.hasMore, true)
  const after = first.items[1]?.key ?? prefix
  const second = await client.kv.scan({ prefix, after }, { consistency: 'stale' })
  t.alike(
    second.items.map(({ key }) => key),
    keys.slice(2)
  )
  t.is(second.hasMore, false)
  t.is(second.consistency, 'stale')
  t.is(second.revision, 13)
})

test('what a node says of itself arrives, also when it is not well', async (t) => {
  const { client, node } = await openClient(t)
  t.alike(await client.status(), node.status())
  t.alike(await client.members(), node.members())
  t.alike(await client.livez(), node.livez())
  node.healthStatus = 'unhealthy'
  node.isOk = false
  t.is((await client.health()).status, 'unhealthy')
  t.alike(await client.readyz(), await node.readyz())
})

test('tickets are made, listed and revoked', async (t) => {
  const { client } = await openClient(t)
  const made = await client.createTicket({ role: 'learner', uses: 2, ttlMs: 1_000 })
  t.is(made.role, 'learner')
  t.is(made.uses_left, 2)
  await client.revokeTicket(made.ticket)
  t.alike(
    (await client.listTickets()).tickets.map(({ state }) => state),
    ['revoked']
  )
  t.is((await errorOf(client.revokeTicket('a/b?c')))?.code, 'TICKET_NOT_FOUND')
})

test('each code arrives as the same error', async (t) => {
  const { client, node } = await openClient(t)
  for (const code of Object.keys(CODES).filter(isErrorCode)) {
    if (code === 'NOT_FOUND') continue
    const fields = { leader: 2, revision: 9 }
    node.fail(new KeyValueStoreError({ code, message: `was ${code}`, hint: 'a hint', fields }))
    const error = await errorOf(client.kv.get(bytesOf('a')))
    t.is(error?.code, code)
    t.is(error?.outcome, CODES[code].outcome)
    t.is(error?.message, `was ${code}`)
    if (code !== 'PROTOCOL')
      t.alike(error?.detail, { code, message: `was ${code}`, hint: 'a hint', fields })
  }
})

test('errors have their family', async (t) => {
  const { client, node } = await openClient(t)
  node.fail(new KeyValueStoreError({ code: 'CONDITION_FAILED', message: 'no' }))
  t.ok((await errorOf(client.kv.put(bytesOf('a'), bytesOf('')))) instanceof KeyValueStoreError)
  const nowhere = Client.connect({ socketPath: join(await t.tmp(), 'none.sock') })
  t.teardown(() => nowhere.close())
  t.ok((await errorOf(nowhere.status())) instanceof ConfigError)
})

test('a wrong token is UNAUTHORIZED, a wrong URL is CONFIG_INVALID', async (t) => {
  const { server } = await openServer(t)
  const client = Client.connect({ url: server.url, token: 'wrong' })
  t.teardown(() => client.close(), { order: -1 })
  t.is((await errorOf(client.status()))?.code, 'UNAUTHORIZED')
  for (const url of ['', 'https://127.0.0.1:1', 'http://127.0.0.1:1/x', 'ftp://a', 'nonsense']) {
    const attempt = async (): Promise<Client> => Client.connect({ url, token: TOKEN })
    t.is((await errorOf(attempt()))?.code, 'CONFIG_INVALID', url)
  }
})

test('a program that closes its client ends by itself', async (t) => {
  const { server } = await openServer(t)
  const module = new URL('../../lib/client/client.js', import.meta.url).href
  const program = `
    import { Client } from ${JSON.stringify(module)}
    const client = Client.connect({ socketPath: ${JSON.stringify(server.socketPath)} })
    await Promise.all([client.status(), client.members(), client.health()])
    client.close()
    client.close()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: 'inherit'
  })
  const startedMs = Date.now()
  const code = await new Promise((resolve) => child.once('exit', resolve))
  t.is(code, 0)
  t.ok(Date.now() - startedMs < 10_000, 'not after a timeout')
})
