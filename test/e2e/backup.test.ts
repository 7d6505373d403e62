// Backup, verify and restore as people use them: real nodes, real files, and everything that may be wrong with
// either.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import test from 'brittle'
import { present } from '../../lib/assert.ts'
import type { Client } from '../../lib/client/client.ts'
import { bytesOf, hexOf, isRecord, textOf } from '../../lib/encoding.ts'
import { decodeTicket, inviteKeysOf } from '../../tickets/tickets.ts'
import { isSkipped } from '../skip.ts'
import { Lab, waitFor } from './lab.ts'
import { refused } from './refusal.ts'

const LIMIT = { timeout: 240_000 }

const lab = await Lab.open()
const file = (name: string): string => join(lab.root, name)
const fileSize = (name: string): number => statSync(file(name)).size
const ticket = await lab.cluster(['alder', 'birch'], ['--timing', 'lan'])

test(
  'a backup is made on any node, whole and private, and replaces nothing unasked',
  LIMIT,
  async (t) => {
    for (let at = 0; at < 20; at++) await lab.put('alder', `k/${at}`, `value ${at}`)
    await lab.run('alder', ['kv', 'del', 'k/7'])
    const made = await lab.json('birch', ['backup', file('one.bak')])
    t.is(made['keys'], 19)
    t.is(made['size'], fileSize('one.bak'))
    t.is(made['consistency'], 'linearizable')
    t.alike(made['cluster'], { id: (await lab.status('alder')).cluster.id })
    t.is(statSync(file('one.bak')).mode & 0o777, 0o600)
    t.alike(readdirSync(join(lab.dataDir('birch'), 'snapshots')), [], 'nothing stays on the node')
    const again = await refused('birch', ['backup', file('one.bak')], { lab })
    t.is(again.exitCode, 2)
    t.ok(again.line.includes('--force'))
    await lab.run('birch', ['backup', file('one.bak'), '--force', '--stale'])
    const person = await lab.run('alder', ['backup', file('two.bak')])
    t.ok(person.includes('19 keys') && person.includes('verified'), person)
    t.is((await lab.run('alder', ['backup', file('three.bak'), '-q'])).trim(), file('three.bak'))
    const stdout = await lab.aspen('alder', ['backup', '-'])
    t.is(stdout.code, 0)
    t.ok(stdout.stdout.startsWith('aspenbak'))
    t.ok(stdout.stderr.includes('19 keys'))
    t.is((await refused('alder', ['backup', lab.root], { lab })).exitCode, 2, 'a folder')
    t.is((await refused('alder', ['backup', file('no/such/folder')], { lab })).exitCode, 2)
    t.is((await refused('nobody', ['backup', file('x.bak')], { lab })).exitCode, 8)
    t.alike(
      readdirSync(lab.root).filter((name) => name.endsWith('.tmp')),
      []
    )
  }
)

test('verify says what a backup holds', LIMIT, async (t) => {
  const verified = await lab.json('nobody', ['verify', file('one.bak')])
  t.is(verified['ok'], true)
  t.is(verified['kind'], 'backup')
  t.is(verified['keys'], 19)
  t.alike(verified['faults'], [])
  t.ok((await lab.run('nobody', ['verify', file('one.bak')])).endsWith('whole\n'))
})

test('OPS-08: no secret of the cluster is in its backup', LIMIT, async (t) => {
  const bytes = hexOf(readFileSync(file('one.bak')))
  const keys = inviteKeysOf(decodeTicket(ticket).secret)
  const secrets: Record<string, Uint8Array> = {
    'secret of the invite': decodeTicket(ticket).secret,
    'public key of the invite': keys.keyPair.publicKey,
    'secret key of the invite': keys.keyPair.secretKey.subarray(0, 32),
    'proof key of the invite': keys.proofKey,
    'topic of the invite': keys.topic
  }
  for (const machine of ['alder', 'birch']) {
    const seed = readFileSync(join(lab.dataDir(machine), 'node.key'), 'utf8').trim()
    secrets[`key of ${machine}`] = Buffer.from(seed, 'hex')
    const token = readFileSync(join(lab.dataDir(machine), 'api.token'), 'utf8').trim()
    secrets[`token of ${machine}`] = bytesOf(token)
  }
  for (const [name, secret] of Object.entries(secrets))
    t.absent(bytes.includes(hexOf(secret)), name)
})

test('a restored cluster has the keys and their revisions, and takes members', LIMIT, async (t) => {
  const before = await lab.json('alder', ['kv', 'scan', 'k/'])
  const restored = await lab.json('cedar', ['restore', file('one.bak'), '--name', 'cedar'])
  t.not(
    JSON.stringify(restored['cluster']),
    JSON.stringify((await lab.json('alder', ['status']))['cluster'])
  )
  t.alike((await lab.json('cedar', ['kv', 'scan', 'k/']))['items'], before['items'])
  const { revision } = await lab.json('cedar', ['kv', 'put', 'new', '1'])
  t.ok(Number(revision) > Number(before['revision']), 'revisions go on above those of the backup')
  await lab.run('cedar', [
    'kv',
    'put',
    'k/1',
    'next',
    '--if-revision',
    String(revisionOf(before, 'k/1'))
  ])
  await lab.run('dogwood', ['join', String(restored['ticket']), '--name', 'dogwood'])
  t.is(await lab.run('dogwood', ['kv', 'get', 'k/1']), 'next')
  t.is(await lab.run('dogwood', ['kv', 'get', 'k/19']), 'value 19')
  t.is(await lab.run('alder', ['kv', 'get', 'k/1']), 'value 1', 'the old cluster goes on')
  await lab.run('cedar', ['stop'])
  await lab.run('cedar', ['start'])
  t.is(await lab.run('cedar', ['kv', 'get', 'k/2', '--timeout', '20s']), 'value 2')
  const taken = await refused('cedar', ['restore', file('one.bak')], { lab })
  t.is(taken.code, 'DATA_DIR_TAKEN', 'it runs')
  await lab.run('dogwood', ['stop'])
  t.is((await refused('dogwood', ['restore', file('one.bak')], { lab })).code, 'DATA_DIR_TAKEN')
})

test(
  'what is no whole backup is refused by verify and restore, and nothing is made',
  LIMIT,
  async (t) => {
    const good = readFileSync(file('one.bak'))
    const wrong: Record<string, Uint8Array> = {
      'nothing.bak': new Uint8Array(0),
      'text.bak': bytesOf('this is no backup at all, but long enough to look like one'),
      'cut.bak': good.subarray(0, good.byteLength - 1),
      'head.bak': good.subarray(0, 60),
      'more.bak': Buffer.concat([good, Buffer.from('x')])
    }
    for (const at of [40, 180, good.byteLength - 300]) {
      const flipped = Uint8Array.from(good)
      flipped[at] = (flipped[at] ?? 0) ^ 0x40
      wrong[`flip-${at}.bak`] = flipped
    }
    for (const [name, bytes] of Object.entries(wrong)) {
      writeFileSync(file(name), bytes)
      const restore = await refused('elm', ['restore', file(name)], { lab, isOnce: true })
      t.alike([restore.exitCode, restore.code], [9, 'CORRUPTED'], name)
      t.is((await lab.aspen('elm', ['verify', file(name)])).code, 9, name)
    }
    const newer = Uint8Array.from(good)
    newer[8] = 9
    writeFileSync(file('newer.bak'), newer)
    for (const command of ['verify', 'restore']) {
      const refusal = await refused('elm', [command, file('newer.bak')], { lab })
      t.is(refusal.code, 'FORMAT_NEWER')
    }
    t.is((await refused('elm', ['restore', file('absent.bak')], { lab })).exitCode, 2)
    t.is((await refused('elm', ['verify', lab.root], { lab })).exitCode, 2)
    t.absent(existsSync(lab.dataDir('elm')), 'nothing was made')
  }
)

test(
  'OPS-01: backups under load hold exactly what was written up to their index',
  LIMIT,
  async (t) => {
    const clients = ['alder', 'birch'].map((machine) => lab.client(machine))
    const writers = clients.map((client, at) => new Writer(client, at))
    const running = writers.map((writer) => writer.run())
    const backups: { readonly name: string; readonly index: number; readonly floor: number }[] = []
    for (let at = 0; at < 4; at++) {
      await waitFor('more writes', () =>
        writers.every((writer) => writer.done.length > 40 * (at + 1))
      )
      const floor = Math.max(...writers.flatMap(({ done }) => done.map(({ revision }) => revision)))
      const name = `load-${at}.bak`
      const machine = at % 2 === 0 ? 'birch' : 'alder'
      const { revision } = await lab.json(machine, ['backup', file(name)])
      backups.push({ name, index: Number(revision), floor })
    }
    for (const writer of writers) writer.isStopped = true
    await Promise.all(running)
    for (const { index, floor } of backups)
      t.ok(index >= floor, `revision ${index} holds all that was acknowledged before (${floor})`)
    for (const [at, { name, index }] of [...backups.entries()].filter(([each]) => each % 3 === 0)) {
      const machine = `restored${at}`
      await lab.run(machine, ['restore', file(name)])
      const client = lab.client(machine)
      const { items } = await client.kv.scan({ prefix: bytesOf('load/'), limit: 1_000 })
      client.close()
      const expected = new Map<string, Write>()
      for (const write of writers.flatMap(({ done }) => done))
        if (write.revision <= index && write.revision > (expected.get(write.key)?.revision ?? 0))
          expected.set(write.key, write)
      t.is(items.length, expected.size, `${items.length} keys`)
      const isSame = items.every((item) => {
        const write = expected.get(textOf(item.key) ?? '')
        return write?.value === textOf(item.value) && write?.revision === item.revision
      })
      t.ok(isSame, `${name} is as of revision ${index}`)
      await lab.cut(machine)
    }
    for (const client of clients) client.close()
  }
)

test(
  'a disk without room for the backup is said to be full, and nothing of it stays',
  LIMIT,
  async (t) => {
    if (isSkipped(t, 'mounts')) return
    for (let at = 0; at < 8; at++) await lab.put('alder', `big/${at}`, 'x'.repeat(200_000))
    const folder = file('small')
    mkdirSync(folder)
    t.is(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', folder]).status, 0)
    try {
      const full = await refused('alder', ['backup', join(folder, 'x.bak')], { lab })
      t.alike([full.exitCode, full.code], [75, 'NO_SPACE'])
      t.alike(readdirSync(folder), [])
    } finally {
      spawnSync('umount', ['-l', folder])
    }
  }
)

test(
  'Ctrl-C ends a backup of which nothing comes, with 130 and no partial file',
  LIMIT,
  async (t) => {
    const dataDir = lab.dataDir('stalled')
    mkdirSync(dataDir)
    const node = createServer((_request, response) => {
      response.writeHead(200, { 'content-length': 1_000 }).flushHeaders()
    }).listen(join(dataDir, 'aspen.sock'))
    const folder = join(dataDir, 'backups')
    mkdirSync(folder)
    const command = lab.start('stalled', ['backup', join(folder, 'file')])
    const ended = once(command, 'exit')
    await waitFor('its beginning', () => readdirSync(folder).length === 1)
    command.kill('SIGINT')
    t.alike(await ended, [130, null])
    t.alike(readdirSync(folder), [])
    node.closeAllConnections()
    node.close()
  }
)

test('a backup without quorum needs --stale', LIMIT, async (t) => {
  await lab.run('birch', ['stop'])
  await lab.run('alder', ['stop'])
  await lab.run('birch', ['start'])
  const { voters } = await lab.status('birch')
  if (!voters.includes(2) || voters.length === 1) {
    // with two members the first one alone votes
    const refusal = await refused('birch', ['backup', file('lost.bak'), '--timeout', '1s'], { lab })
    t.is(refusal.exitCode, 5)
    t.absent(existsSync(file('lost.bak')))
  }
  const stale = await lab.json('birch', ['backup', file('lost.bak'), '--stale'])
  t.is(stale['consistency'], 'stale')
  t.is((await lab.aspen('birch', ['verify', file('lost.bak')])).code, 0)
})

test('verify reads all of a stopped node, and says so where it runs', LIMIT, async (t) => {
  t.is((await refused('birch', ['verify'], { lab })).exitCode, 73)
  const verified = await lab.json('alder', ['verify'])
  t.is(verified['ok'], true)
  t.is(verified['node_id'], 1)
  const log = join(lab.dataDir('alder'), 'log', 'data.mdb')
  const bytes = readFileSync(log)
  const at = bytes.indexOf('value 3')
  t.ok(at > 0, 'a value lies in the log')
  bytes[at] = 0
  writeFileSync(log, bytes)
  const damaged = await lab.aspen('alder', ['verify'])
  t.is(damaged.code, 9)
  t.ok(/log: entry \d+ does not match its checksum/.test(damaged.stdout), damaged.stdout)
  const json = await lab.aspen('alder', ['verify', '--json'])
  t.is(json.code, 9)
  t.is(JSON.parse(json.stdout).ok, false)
  t.is((await refused('nobody', ['verify'], { lab })).code, 'NO_CLUSTER_HERE')
})

test('the lab closes', async () => {
  await lab.close()
})

interface Write {
  readonly key: string
  readonly value: string
  readonly revision: number
}

/** Writes one key after the other, over and over, and keeps what was acknowledged. */
class Writer {
  readonly done: Write[] = []
  isStopped = false
  readonly #client: Client
  readonly #number: number

  constructor(client: Client, number: number) {
    this.#client = client
    this.#number = number
  }

  async run(): Promise<void> {
    for (let at = 0; !this.isStopped; at++) {
      const key = `load/${this.#number}/${at % 17}`
      const value = `${at} of ${this.#number}`
      const put = this.#client.kv.put(bytesOf(key), bytesOf(value), { timeoutMs: 20_000 })
      const { revision } = await put
      this.done.push({ key, value, revision })
    }
  }
}

function revisionOf(page: Readonly<Record<string, unknown>>, key: string): number {
  const { items } = page
  const item: unknown = Array.isArray(items) ? items.find((each) => each.key === key) : undefined
  const found = present(item, key)
  return isRecord(found) ? Number(found['revision']) : 0
}
