// `aspen ticket`: the three that ask a node, and `show`, which asks nobody and tells no secret.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'brittle'
import { encodeTicket, ticketFingerprint } from '../../tickets/tickets.ts'
import type { Ticket } from '../../tickets/tickets.ts'
import { hexOf } from '../../lib/encoding.ts'
import { openNode, runCli } from './run-cli.ts'
import type { Ran } from './run-cli.ts'

const NOW_MS = Date.parse('2026-05-01T12:00:00Z')
const ticket: Ticket = {
  role: 'learner',
  clusterId: new Uint8Array(16).fill(0xc1),
  secret: Uint8Array.from({ length: 16 }, (_item, at) => 0xa0 + at),
  expiresMs: NOW_MS + 7_200_000,
  memberKeys: [new Uint8Array(32).fill(0x11), new Uint8Array(32).fill(0x22)],
  addresses: [{ host: '192.168.1.20', port: 49_737 }],
  bootstrap: []
}
const text = encodeTicket(ticket)

test('show says what a ticket is for', async (t) => {
  const { code, stdout } = await runCli(['ticket', 'show', text], { nowMs: NOW_MS })
  t.is(code, 0)
  t.is(
    stdout,
    `ticket     ${ticketFingerprint(ticket)}\n` +
      'role       learner\n' +
      `cluster    ${'c1'.repeat(16)}\n` +
      'expiry     expires in 2 h (2026-05-01T14:00:00.000Z)\n' +
      `member     ${'11'.repeat(32)}\n` +
      `member     ${'22'.repeat(32)}\n` +
      'addresses  192.168.1.20:49737\n' +
      'bootstrap  the public DHT\n'
  )
  const late = await runCli(['ticket', 'show', text], { nowMs: NOW_MS + 4 * 3_600_000 })
  t.ok(late.stdout.includes('expired 2 h ago'))
  const { stdout: json } = await runCli(['ticket', 'show', text, '--json'])
  t.alike(JSON.parse(json), {
    id: ticketFingerprint(ticket),
    role: 'learner',
    cluster: { id: 'c1'.repeat(16) },
    expires_at: '2026-05-01T14:00:00.000Z',
    members: ['11'.repeat(32), '22'.repeat(32)],
    addresses: ['192.168.1.20:49737'],
    bootstrap: []
  })
})

test('show never prints the secret, nor the text, in any form or for any damage', async (t) => {
  const damaged = `${text.slice(0, 60)}${text[60] === 'q' ? 'p' : 'q'}${text.slice(61)}`
  const short = text.slice(0, -3)
  for (const input of [text, text.toUpperCase(), `  ${text}\n`, damaged, short]) {
    for (const flags of [[], ['--json'], ['--quiet']]) {
      assertNoSecret(await runCli(['ticket', 'show', input, ...flags]))
    }
  }
  assertNoSecret(await runCli(['ticket', 'show', '-'], { stdin: text }))
  assertNoSecret(await runCli(['ticket', 'show', text, 'and', 'more']))
  assertNoSecret(await runCli(['join', text, 'and', 'more']))
  assertNoSecret(await runCli(['join', `--ticket=${text}`]))
  assertNoSecret(await runCli([text]))
  assertNoSecret(await runCli([text, '--json']))

  function assertNoSecret({ stdout, stderr }: Ran): void {
    const said = `${stdout}${stderr}`.toLowerCase()
    t.absent(said.includes(hexOf(ticket.secret)), 'the secret as hex')
    t.absent(said.includes(Buffer.from(ticket.secret).toString('base64').toLowerCase()))
    for (let at = 0; at + 12 <= text.length; at += 4) {
      if (said.includes(text.slice(at, at + 12))) t.fail(`a piece of the ticket: ${said}`)
    }
  }
})

test('a ticket comes as an argument, from stdin, from a file, or from the environment', async (t) => {
  const path = join(await t.tmp(), 'ticket')
  await writeFile(path, `\n  ${text}  \n`)
  const shown = await runCli(['ticket', 'show', text])
  t.is(shown.code, 0)
  t.alike(await runCli(['ticket', 'show', '-'], { stdin: `${text}\n` }), shown)
  t.alike(await runCli(['ticket', 'show', '--ticket-file', path]), shown)
  t.alike(await runCli(['ticket', 'show'], { env: { ASPEN_TICKET: text } }), shown)
  t.is((await runCli(['ticket', 'show'])).code, 2, 'none')
  t.is((await runCli(['ticket', 'show', text, '--ticket-file', path])).code, 2, 'two')
  t.is((await runCli(['ticket', 'show', '--ticket-file', `${path}.not`])).code, 2, 'no file')
  t.is((await runCli(['ticket', 'show', '-'], { stdin: Buffer.alloc(5_000, 'a') })).code, 2)
})

test('what is no ticket, or a damaged one, is refused with its own code before anything is done', async (t) => {
  const dataDir = join(await t.tmp(), 'node')
  const commands = [
    [['ticket', 'show'], []],
    [['join'], ['--data-dir', dataDir]]
  ] as const
  for (const [command, place] of commands) {
    const codes: unknown[] = []
    for (const input of ['hello', `${text.slice(0, -1)}b`, 'aspen1', `aspen1${'q'.repeat(400)}`]) {
      const ran = await runCli([...command, input, '--json', ...place])
      t.is(ran.code, 2, input)
      codes.push(JSON.parse(ran.stdout).error.code)
    }
    t.alike(codes, ['NOT_A_TICKET', 'TICKET_DAMAGED', 'TICKET_DAMAGED', 'TICKET_TOO_LONG'])
  }
})

test('create prints the whole next command, the ticket alone, or the document', async (t) => {
  const { run } = await openNode(t)
  const human = await run(['ticket', 'create', '--role', 'learner', '--uses', '2', '--ttl', '1h'], {
    nowMs: 0
  })
  t.is(human.code, 0)
  t.ok(human.stdout.includes('    aspen join aspen100000001\n'), human.stdout)
  t.ok(human.stdout.includes('id 00000001, learner, expires in 60 min, 2 uses'), human.stdout)
  t.is((await run(['ticket', 'create', '-q'])).stdout, 'aspen100000002\n')
  const document = JSON.parse((await run(['ticket', 'create', '--json'])).stdout)
  t.is(document.ticket, 'aspen100000003')
  t.is(document.uses_left, 16)
})

test('list is a table; revoke takes what list shows, and is exit code 3 for what is not there', async (t) => {
  const { run } = await openNode(t)
  await run(['ticket', 'create', '--uses', '3'])
  t.is((await run(['ticket', 'revoke', '00000001'])).code, 0)
  const { stdout } = await run(['ticket', 'list'], { nowMs: 0 })
  t.is(
    stdout,
    'ID        ROLE   STATE    USES LEFT  EXPIRES  MADE     BY NODE\n' +
      '00000001  voter  revoked     3 of 3  in 24 h  in 0 ms        1\n'
  )
  t.is((await run(['ticket', 'list', '-q'])).stdout, '00000001\n')
  t.is(JSON.parse((await run(['ticket', 'list', '--json'])).stdout).tickets.length, 1)
  t.is((await run(['ticket', 'revoke', 'ffffffff'])).code, 3)
})
