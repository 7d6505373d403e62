// Making a cluster and joining it: every way in, at once, and without anybody there.

import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { decodeTicket } from '../../tickets/tickets.ts'
import { hexOf } from '../../lib/encoding.ts'
import { nodeOf, ticketRows } from './documents.ts'
import { Lab } from './lab.ts'
import { argumentsOf } from './processes.ts'
import { refused } from './refusal.ts'

const LIMIT = { timeout: 240_000 }

const lab = await Lab.open()
let ticket = ''

test(
  'two joins at the same instant both succeed, and make three voters of one',
  LIMIT,
  async (t) => {
    ticket = (await lab.run('alder', ['create', '--name', 'alder', '--quiet'])).trim()
    t.is((await lab.status('alder')).voters.length, 1)
    const joins = await Promise.all(
      ['birch', 'cedar'].map((name) => lab.json(name, ['join', ticket, '--name', name]))
    )
    const ids = joins.map((joined) => nodeOf(joined).id)
    t.alike(
      ids.toSorted((a, b) => a - b),
      [2, 3],
      'each its own id'
    )
    t.alike(
      joins.map((joined) => joined['role']),
      ['learner', 'learner'],
      'learners first'
    )
    for (const name of ['alder', 'birch', 'cedar']) await lab.voters(name, 3)
    t.pass('three voters, as each node sees it')
  }
)

test(
  'the fourth stays a learner; a ticket comes from stdin, a file or the environment too',
  LIMIT,
  async (t) => {
    const file = join(lab.root, 'ticket.txt')
    writeFileSync(file, `  ${ticket}\n`)
    const viaStdin = await lab.aspen('dogwood', ['join', '-', '--name', 'dogwood'], {
      stdin: `${ticket}\n`
    })
    t.is(viaStdin.code, 0, viaStdin.stderr)
    const viaFile = await lab.aspen('elm', ['join', '--ticket-file', file, '--name', 'elm'])
    t.is(viaFile.code, 0, viaFile.stderr)
    const viaEnv = await lab.aspen('fir', ['join', '--name', 'fir', '--quiet'], {
      env: { ASPEN_TICKET: ticket.toUpperCase() }
    })
    t.is(viaEnv.code, 0, viaEnv.stderr)
    t.is(viaEnv.stdout, '6\n', 'with --quiet, the id')
    for (const name of ['dogwood', 'elm', 'fir']) {
      t.is((await lab.json(name, ['status']))['role'], 'learner')
    }
    for (const name of ['elm', 'fir']) await lab.run(name, ['stop'])
  }
)

test(
  'the phases of a join are on stderr, with the elapsed time; stdout has the result only',
  LIMIT,
  async (t) => {
    const joined = await lab.aspen('ginkgo', ['join', ticket, '--name', 'ginkgo', '--json'])
    t.is(joined.code, 0)
    t.is(joined.stdout.split('\n').length, 2, 'one line')
    const phases = joined.stderr.trimEnd().split('\n')
    t.ok(
      phases.some((line) => /^ {2}\[3\/3\] catching up {2}\d+(\.\d)? m?s$/.test(line)),
      joined.stderr
    )
    t.ok(
      phases.every((line) => /^ {2}.* \d+(\.\d)? m?s$/.test(line)),
      'each line ends in a time'
    )
    await lab.run('ginkgo', ['stop'])
  }
)

test('a join on a member says so and changes nothing, running or not', LIMIT, async (t) => {
  const before = await lab.json('dogwood', ['status'])
  const again = await lab.aspen('dogwood', ['join', ticket])
  t.is(again.code, 0)
  t.ok(/already a member/.test(again.stdout), again.stdout)
  const json = await lab.json('dogwood', ['join', ticket])
  t.alike(json['node'], before['node'])
  t.is(json['already_member'], true)
  t.is(json['pid'], before['pid'], 'the node that ran goes on')
  await lab.run('dogwood', ['stop'])
  const started = await lab.json('dogwood', ['join', ticket])
  t.alike(started['node'], before['node'])
  t.is(started['already_member'], true)
})

test(
  'with nobody there a join ends within its timeout: phase, cause, what to try, exit code 5',
  LIMIT,
  async (t) => {
    const lonely = (await lab.run('juniper', ['create', '--quiet'])).trim()
    await lab.run('juniper', ['stop'])
    const refusal = await refused('kauri', ['join', lonely, '--timeout', '3s'], { lab })
    t.is(refusal.exitCode, 5)
    t.is(refusal.code, 'NO_PEER_FOUND')
    t.ok(/no member of the cluster could be reached: \S/.test(refusal.line), refusal.line)
    t.ok(/then join again/.test(refusal.line), 'what to try')
    t.ok(refusal.isRetryable)
    t.ok(refusal.tookMs < 15_000, `took ${refusal.tookMs.toFixed(0)} ms`)
    t.alike(await lab.settled(0, 'kauri'), [], 'no node goes on trying')
    await lab.run('juniper', ['start'])
    const joined = await lab.json('kauri', ['join', lonely])
    t.is(nodeOf(joined).id, 2, 'what was refused can be tried again')
    await lab.run('kauri', ['stop'])
    await lab.run('juniper', ['stop'])
  }
)

test(
  'tickets are made, listed, shown without asking anybody, and revoked, on any node',
  LIMIT,
  async (t) => {
    const made = await lab.json('cedar', [
      'ticket',
      'create',
      '--role',
      'learner',
      '--ttl',
      '1h',
      '--uses',
      '2'
    ])
    const text = String(made['ticket'])
    const id = String(made['id'])
    t.alike(
      [made['role'], made['uses'], made['uses_left'], made['state']],
      ['learner', 2, 2, 'open']
    )

    // no data directory, no bootstrap that answers, nothing running
    const shown = await lab.aspen('nobody', ['ticket', 'show', '-'], {
      stdin: text,
      env: { ASPEN_BOOTSTRAP: '127.0.0.1:1' }
    })
    t.is(shown.code, 0, shown.stderr)
    t.ok(shown.stdout.includes(id) && shown.stdout.includes('learner'))
    t.absent(existsSync(lab.dataDir('nobody')), 'nothing was made')
    const json = await lab.json('nobody', ['ticket', 'show', text])
    t.is(json['id'], id)
    const expiresMs = Math.floor(Date.parse(String(made['expires_at'])) / 1_000) * 1_000
    t.is(Date.parse(String(json['expires_at'])), expiresMs, 'a ticket counts in whole seconds')
    for (const output of [shown.stdout, JSON.stringify(json)]) {
      t.absent(output.includes(text), 'not the ticket itself')
      t.absent(output.includes(hexOf(decodeTicket(text).secret)), 'not its secret')
    }

    const rows = await ticketRows(lab, 'birch')
    t.alike(rows.find((row) => row['id'] === id)?.['state'], 'open')
    t.ok(/learner/.test(await lab.run('birch', ['ticket', 'list'])))
    const revoked = await lab.json('birch', ['ticket', 'revoke', id])
    t.alike(revoked, { revoked: true, id })
    t.is((await ticketRows(lab, 'alder')).find((row) => row['id'] === id)?.['state'], 'revoked')

    const second = await lab.json('alder', ['ticket', 'create'])
    t.is(
      (await lab.aspen('alder', ['ticket', 'revoke', String(second['ticket'])])).code,
      0,
      'by its text too'
    )
    t.is(
      (await ticketRows(lab, 'birch')).find((row) => row['id'] === second['id'])?.['state'],
      'revoked'
    )
    const unknown = await refused('alder', ['ticket', 'revoke', '00000000'], { lab })
    t.is(unknown.code, 'TICKET_NOT_FOUND')
    t.is(unknown.exitCode, 3)
  }
)

test(
  'who joins by a learner ticket never votes, and the fourth did not either',
  LIMIT,
  async (t) => {
    const made = await lab.json('alder', ['ticket', 'create', '--role', 'learner'])
    const joined = await lab.json('larch', ['join', String(made['ticket']), '--name', 'larch'])
    const id = nodeOf(joined).id
    // a place becomes free: 3 → 2 voters alive, and the growth rule would take a learner if it could
    for (let count = 0; count < 20; count++) {
      await lab.put('larch', `larch/${count}`, 'x')
    }
    const status = await lab.status('larch')
    t.is(status.role, 'learner')
    t.absent(status.voters.includes(id))
    t.is(status.voters.length, 3)
    t.alike((await lab.json('dogwood', ['status']))['role'], 'learner')

    // alone with the founder of another cluster it would be the next voter, if its ticket were for one
    const role = ['--role', 'learner', '--quiet']
    await lab.run('maple', ['create', '--name', 'maple'])
    const learner = (await lab.run('maple', ['ticket', 'create', ...role])).trim()
    for (const name of ['nutmeg', 'oak']) await lab.run(name, ['join', learner, '--name', name])
    const voter = (await lab.run('maple', ['ticket', 'create', '--quiet'])).trim()
    for (const name of ['pine', 'rowan']) await lab.run(name, ['join', voter, '--name', name])
    await lab.voters('maple', 3)
    const { voters } = await lab.status('maple')
    t.alike(
      voters.toSorted((a, b) => a - b),
      [1, 4, 5],
      'the later ones, whose ticket says voter'
    )
  }
)

test(
  'no secret is in a log file, in an argument of a node, or readable by others',
  LIMIT,
  async (t) => {
    const secrets = [ticket, hexOf(decodeTicket(ticket).secret)]
    const pids = lab.processes()
    t.ok(pids.length >= 5, `${pids.length} nodes run`)
    for (const pid of pids) {
      const words = (argumentsOf(pid) ?? []).join(' ')
      t.absent(/aspen1/.test(words) || secrets.some((secret) => words.includes(secret)), words)
    }
    for (const name of ['alder', 'birch', 'dogwood', 'larch']) {
      const dir = lab.dataDir(name)
      t.is(statSync(dir).mode & 0o777, 0o700, `${name} is private`)
      const log = readFileSync(join(dir, 'aspen.log'), 'utf8')
      t.absent(/aspen1[a-z0-9]{20}/.test(log), 'no ticket in the log')
      const keys = ['api.token', 'node.key'].map((file) =>
        readFileSync(join(dir, file), 'utf8').trim()
      )
      t.absent(
        [...secrets, ...keys].some((secret) => log.includes(secret)),
        'no secret in the log'
      )
      const open = filesOf(dir).filter((path) => (statSync(path).mode & 0o077) !== 0)
      t.alike(open, [], 'files are their owner’s alone')
    }
  }
)

test('everything ends, and nothing is left', LIMIT, async (t) => {
  await lab.close()
  t.alike(lab.processes(), [])
})

function filesOf(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}
