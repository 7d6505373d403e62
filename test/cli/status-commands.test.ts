// `aspen status` and `aspen members`, and what every command says when no node runs.

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'brittle'
import type { Status } from '../../lib/service/documents.ts'
import { openNode, runCli } from './run-cli.ts'

const KEY = 'abababab'

test('status is a list for people and the document for programs', async (t) => {
  const { run, opened } = await openNode(t)
  const { code, stdout } = await run(['status'])
  t.is(code, 0)
  t.ok(stdout.includes('state      ✓ healthy\n'), stdout)
  t.ok(stdout.includes('leader     this node (term 2)\n'))
  t.ok(stdout.includes('members    1 voter; tolerates 0 failures\n'))
  t.ok(stdout.includes(`this node  1 alder (voter, key ${KEY}), up`))
  t.alike(JSON.parse((await run(['status', '--json'])).stdout), opened.node.status())
  t.is((await run(['status', '-q'])).stdout, 'healthy\n')
})

test('status says that nothing is announced where gossip is off', async (t) => {
  const { run, opened } = await openNode(t)
  const status = opened.node.status()
  const says = async (discovery: Partial<Status['discovery']>): Promise<string | undefined> => {
    opened.node.status = () => ({
      ...status,
      discovery: { online: true, announced: false, gossip: true, ...discovery }
    })
    return /^discovery +(.*)$/m.exec((await run(['status'])).stdout)?.[1]
  }
  t.is(await says({ announced: true }), 'announced on the DHT')
  t.is(await says({}), 'online, not announced yet')
  t.is(await says({ online: false }), 'the DHT does not answer')
  t.is(await says({ gossip: false }), 'off (gossip): members find each other by key and address')
})

test('status shows a snapshot that is on its way here', async (t) => {
  const { run, opened } = await openNode(t)
  const status = opened.node.status()
  t.absent((await run(['status'])).stdout.includes('fetching'))
  const fetching = { index: 70_000, bytes: 3 * 2 ** 20, percent: 41.2 }
  opened.node.status = () => ({ ...status, storage: { ...status.storage, fetching } })
  const { stdout } = await run(['status'])
  t.ok(stdout.includes('fetching   snapshot 70000 from other members: 41.2 % of 3.0 MiB\n'), stdout)
})

test('where no node is, the nodes that are there are named', async (t) => {
  const home = await t.tmp()
  await mkdir(join(home, 'aspen', 'alder'), { recursive: true })
  await writeFile(join(home, 'aspen', 'alder', 'node.json'), '{}')
  await mkdir(join(home, 'aspen', 'half'))
  for (const argv of [
    ['status'],
    ['kv', 'get', 'k'],
    ['logs'],
    ['start'],
    ['status', '--name', 'b']
  ]) {
    const { stderr } = await runCli(argv, { env: { XDG_DATA_HOME: home } })
    t.ok(
      /^✗ there is no node in .*: the node on this machine is --name alder\n$/.test(stderr),
      stderr
    )
  }
})

test('a node that may never start again, or not yet, is not told to', async (t) => {
  const dataDir = await t.tmp()
  const said = async (state: string) => {
    await writeFile(join(dataDir, 'node.json'), JSON.stringify({ state }))
    const ended = await runCli(['status', '--data-dir', dataDir])
    t.is(ended.code, 8, state)
    return ended.stderr.replace(dataDir, '…')
  }
  const rejoin = 'keep this folder away, and join again as a new node from an empty folder'
  t.is(
    await said('removed'),
    `✗ the node in … was removed from its cluster, which is final: ${rejoin}\n`
  )
  t.ok((await said('fenced')).includes('it never starts again'))
  t.ok((await said('diverged')).endsWith(`: ${rejoin}\n`))
  t.ok((await said('restoring')).includes("'aspen restore' with the backup begins again"))
  t.ok((await said('creating')).includes("is not finished: 'aspen create' goes on with it"))
  t.ok((await said('member')).includes(`is not running: 'aspen start --data-dir ${dataDir}'`))
})

test('status exits 5 without quorum, and 10 when degraded under --strict', async (t) => {
  const { run, opened } = await openNode(t)
  const { node } = opened
  const healthy = node.status()
  const become = (state: Status['state']) => {
    node.status = () => ({ ...healthy, state })
  }
  become('no_quorum')
  const lost = await run(['status'])
  t.is(lost.code, 5)
  t.ok(lost.stdout.includes('no quorum'), 'the status is printed nevertheless')
  t.is((await run(['status', '--json'])).code, 5)
  become('degraded')
  t.is((await run(['status'])).code, 0)
  t.is((await run(['status', '--strict'])).code, 10)
  become('joining')
  t.is((await run(['status', '--strict'])).code, 0)
})

test('members is a table, ids, or the document', async (t) => {
  const { run, opened } = await openNode(t)
  t.is(
    (await run(['members'])).stdout,
    'ID  NAME    KEY       ROLE   STATE   LAG  RTT  PATH  VERSION  ADDRESS\n' +
      ` 1  alder*  ${KEY}  voter  leader    0    –  –     0.1.0    –\n`
  )
  t.is((await run(['members', '-q'])).stdout, '1\n')
  t.alike(JSON.parse((await run(['members', '--json'])).stdout), opened.node.members())
})

test('members of one name are told apart by id and key, also where there is little room', async (t) => {
  const { run, opened } = await openNode(t)
  const [row] = opened.node.members().members
  if (row === undefined) throw new Error('a member')
  const rows = (...names: string[]) => ({
    members: names.map((name, at) => ({ ...row, id: at + 1, name, key: `${at}f`.repeat(32) }))
  })
  const narrow = { isTerminal: true, columns: 45 }
  opened.node.members = () => rows('vm', 'vm')
  const { stdout } = await run(['members'], narrow)
  t.ok(/^ 1  vm\*\s+0f0f0f0f .*\n 2  vm\*\s+1f1f1f1f /m.test(stdout), stdout)
  opened.node.members = () => rows('vm', 'pc')
  t.absent((await run(['members'], narrow)).stdout.includes('0f0f0f0f'))
  t.ok((await run(['members'])).stdout.includes('0f0f0f0f'))
})

test('names that came from other machines cannot move the cursor', async (t) => {
  const { run, opened } = await openNode(t)
  const [row] = opened.node.members().members
  if (row === undefined) throw new Error('a member')
  opened.node.members = () => ({ members: [{ ...row, name: 'evil\u001b[2J\n' }] })
  t.ok((await run(['members'])).stdout.includes('evil\\x1b[2J\\n*'))
})

test('without a running node every command that asks one is exit code 8 and says what starts it', async (t) => {
  const dataDir = await t.tmp()
  const commands = [
    ['kv', 'get', 'k'],
    ['kv', 'put', 'k', 'v'],
    ['kv', 'del', 'k'],
    ['kv', 'scan'],
    ['status'],
    ['members'],
    ['ticket', 'create'],
    ['ticket', 'list'],
    ['ticket', 'revoke', '00000001']
  ]
  for (const argv of commands) {
    const { code, stderr } = await runCli([...argv, '--data-dir', dataDir])
    t.is(code, 8, argv.join(' '))
    t.ok(stderr.includes('aspen create') && stderr.includes('aspen join'), stderr)
  }
  await writeFile(join(dataDir, 'node.json'), '{}')
  const { code, stderr } = await runCli(['status', '--data-dir', dataDir])
  t.is(code, 8)
  t.ok(stderr.includes(`'aspen start --data-dir ${dataDir}' starts it`), stderr)
})

test('stop and logs work without a node', async (t) => {
  const dataDir = await t.tmp()
  const stopped = await runCli(['stop', '--data-dir', dataDir, '--json'])
  t.is(stopped.code, 0)
  t.alike(JSON.parse(stopped.stdout), { stopped: false, pid: null })
  const logs = await runCli(['logs', '--data-dir', dataDir])
  t.is(logs.code, 1)
  t.ok(logs.stderr.includes('there is no log'), logs.stderr)
})
