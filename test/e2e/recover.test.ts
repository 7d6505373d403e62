// MEM-04: a majority that is lost for good. What recover says, what it refuses, and that nobody of the old cluster
// ever comes into the new one.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import type { JsonObject } from './lab.ts'
import { Lab } from './lab.ts'
import { refused } from './refusal.ts'

const LIMIT = { timeout: 240_000 }
const SOON = ['--timeout', '3s']

const lab = await Lab.open()
await lab.cluster(['alder', 'birch', 'cedar'], ['--timing', 'lan'])
await lab.voters('alder', 3)

test('while a majority is in reach nothing is recovered', LIMIT, async (t) => {
  for (let at = 0; at < 5; at++) await lab.put('birch', `k/${at}`, `value ${at}`)
  const dry = await lab.json('alder', ['recover'])
  t.alike([dry['has_quorum'], dry['running'], dry['may_lose_acknowledged']], [true, true, false])
  t.is(logsOf(dry).filter((log) => log !== null).length, 3)
  const running = await refused('alder', ['recover', '--accept-loss'], { lab })
  t.alike([running.exitCode, running.code], [1, 'QUORUM_REACHABLE'])
  await lab.run('alder', ['stop'])
  const stopped = await refused('alder', ['recover', '--accept-loss'], { lab })
  t.is(stopped.code, 'QUORUM_REACHABLE', 'also from a node that does not run')
  t.is((await lab.json('alder', ['recover']))['running'], false)
  await lab.run('alder', ['start'])
  t.is(await lab.run('alder', ['kv', 'get', 'k/4', '--timeout', '20s']), 'value 4')
  t.is((await refused('nobody', ['recover'], { lab })).code, 'NO_CLUSTER_HERE')
})

test('without a majority it shows what is left, and changes nothing', LIMIT, async (t) => {
  // alder misses the last writes
  await lab.cut('alder')
  await lab.run('birch', ['kv', 'put', 'last', 'words', '--timeout', '20s'])
  await lab.cut('birch')
  await lab.cut('cedar')
  await lab.run('alder', ['start'])
  const alone = await lab.json('alder', ['recover', ...SOON])
  t.alike(
    [alone['has_quorum'], alone['most_complete'], alone['may_lose_acknowledged']],
    [false, 1, true]
  )
  t.is(logsOf(alone).filter((log) => log === null).length, 2, 'two are out of reach')
  const person = await lab.run('alder', ['recover', ...SOON])
  t.ok(person.includes('no quorum: 1 of 3 voters in reach'), person)
  t.ok(person.includes('--accept-loss'), person)
  const running = await refused('alder', ['recover', '--accept-loss', ...SOON], { lab })
  t.alike([running.exitCode, running.code], [73, 'LOCKED'])
  await lab.run('alder', ['stop'])
  t.ok((await lab.json('alder', ['verify']))['ok'], 'all is as it was')
})

test(
  'a recovery makes a new cluster of one, and the old node never starts again',
  LIMIT,
  async (t) => {
    const before = JSON.parse(readFileSync(join(lab.dataDir('birch'), 'node.json'), 'utf8'))
    const made = await lab.json('birch', ['recover', '--accept-loss', ...SOON])
    t.is(await lab.run('birch', ['kv', 'get', 'last']), 'words')
    t.is(await lab.run('birch', ['kv', 'get', 'k/4']), 'value 4')
    const status = await lab.status('birch')
    t.not(status.cluster.id, before.cluster_id)
    t.alike([status.voters, status.leader], [[1], 1])
    const [lost = ''] = readdirSync(lab.dataDir('birch')).filter((name) => name.startsWith('lost-'))
    t.is(lost, `lost-${String(before.cluster_id).slice(0, 12)}`)
    t.absent(existsSync(join(lab.dataDir('birch'), 'recovering')))
    const fenced = await refused(join('birch', lost), ['start'], { lab })
    t.alike([fenced.exitCode, fenced.code], [78, 'FENCED'])
    t.is((await refused(join('birch', lost), ['create'], { lab })).exitCode, 78)
    await lab.run('dogwood', ['join', String(made['ticket'])])
    t.is(await lab.run('dogwood', ['kv', 'get', 'last']), 'words', 'and it takes members')
  }
)

test('the others of the old cluster stay outside, whatever they try', LIMIT, async (t) => {
  await lab.run('alder', ['start'])
  const old = await lab.json('alder', ['recover', ...SOON])
  t.is(old['has_quorum'], false)
  t.is(logsOf(old).filter((log) => log !== null).length, 1, 'it reaches nobody of the new cluster')
  t.is((await lab.run('birch', ['members', '-q'])).trim().split('\n').length, 2)
  const made = String((await lab.json('birch', ['ticket', 'create']))['ticket'])
  const refusal = await refused('alder', ['join', made], { lab })
  t.is(refusal.code, 'DATA_DIR_TAKEN', 'a ticket does not help the old folder')
  await lab.run('cedar', ['start'])
  await lab.voters('cedar', 3)
  t.is(
    await lab.run('cedar', ['kv', 'get', 'k/1', '--timeout', '20s']),
    'value 1',
    'they may even go on'
  )
  t.is(await lab.run('birch', ['kv', 'get', 'last']), 'words')
})

test('the lab closes', async () => {
  await lab.close()
})

function logsOf({ members }: JsonObject): unknown[] {
  return Array.isArray(members) ? members.map((member) => member.log) : []
}
