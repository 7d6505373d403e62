// Every ticket that must not let anybody in: one clear line, its own code, and nothing changed.

import { existsSync, readFileSync } from 'node:fs'
import test from 'brittle'
import { hash } from '../../lib/crypto.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { CODES } from '../../lib/errors.ts'
import type { ErrorCode } from '../../lib/errors.ts'
import { decodeTicket, encodeTicket } from '../../tickets/tickets.ts'
import { ticketRows } from './documents.ts'
import { Lab, waitFor } from './lab.ts'
import { refused } from './refusal.ts'
import type { Refusal } from './refusal.ts'

const LIMIT = { timeout: 240_000 }

interface Vector {
  readonly name: string
  readonly text: string
  readonly code: ErrorCode
}

const lab = await Lab.open()
let good = ''

test('a cluster to be kept from', LIMIT, async (t) => {
  good = (await lab.run('alder', ['create', '--name', 'alder', '--quiet'])).trim()
  t.is(await memberCount(), 1)
})

test(
  'what is no ticket, damaged, too long or newer is told so before anything is asked or made',
  LIMIT,
  async (t) => {
    for (const { name, text, code } of oneOfEachKind()) {
      // a person who pastes nothing between the quotes types an empty argument
      const refusal = await refused('birch', ['join', text], { lab })
      t.is(refusal.code, code, `${name}: ${refusal.line}`)
      t.is(refusal.exitCode, CODES[code].exitCode, name)
      t.is(refusal.applied, false)
      if (text.length > 20) t.absent(refusal.line.includes(text), 'the text is not repeated')
      t.absent(existsSync(lab.dataDir('birch')), `${name}: nothing was made`)
    }
    for (const [stdin, code] of [
      ['', 'NOT_A_TICKET'],
      ['x'.repeat(5_000), null]
    ] as const) {
      const refusal = await refused('birch', ['join', '-'], { lab, stdin })
      if (code !== null) t.is(refusal.code, code, refusal.line)
      t.is(refusal.exitCode, 2, refusal.line)
    }
    const missing = await refused('birch', ['join'], { lab, env: { ASPEN_TICKET: '' } })
    t.is(missing.exitCode, 2)
    t.ok(/ticket is missing/.test(missing.line) && /ASPEN_TICKET/.test(missing.line), missing.line)
    t.absent(existsSync(lab.dataDir('birch')))
  }
)

test(
  'revoked, used up and expired tickets are refused by the cluster, with the reason',
  LIMIT,
  async (t) => {
    const revoked = await lab.json('alder', ['ticket', 'create'])
    await lab.run('alder', ['ticket', 'revoke', String(revoked['id'])])
    isRefused(
      t,
      await refused('birch', ['join', String(revoked['ticket'])], { lab }),
      'TICKET_REVOKED'
    )

    const once = await lab.json('alder', ['ticket', 'create', '--uses', '1'])
    await lab.run('cedar', ['join', String(once['ticket']), '--name', 'cedar'])
    isRefused(
      t,
      await refused('birch', ['join', String(once['ticket'])], { lab }),
      'TICKET_USED_UP'
    )

    const short = await lab.json('alder', ['ticket', 'create', '--ttl', '1s'])
    await waitFor(
      'the ticket to expire',
      () => Date.now() > Date.parse(String(short['expires_at'])) + 1_000
    )
    const expired = await refused('birch', ['join', String(short['ticket'])], { lab })
    isRefused(t, expired, 'TICKET_EXPIRED')

    const rows = await ticketRows(lab, 'alder')
    const byId = new Map(rows.map((row) => [row['id'], row['state']]))
    t.is(byId.get(revoked['id']), 'revoked')
    t.is(byId.get(once['id']), 'used_up')
    t.is(byId.get(short['id']), 'expired')
    t.is(await memberCount(), 2, 'alder and cedar')
  }
)

test('a ticket that this cluster never made is refused or finds nobody', LIMIT, async (t) => {
  const ticket = decodeTicket(good)
  const secret = hash(bytesOf('a guess')).subarray(0, 16)
  const guessed = encodeTicket({ ...ticket, secret })
  const clusterId = hash(bytesOf('another cluster')).subarray(0, 16)
  const twisted = encodeTicket({ ...ticket, clusterId })
  const [refusal, wrong] = await Promise.all([
    refused('birch', ['join', guessed, '--timeout', '4s'], { lab }),
    refused('ginkgo', ['join', twisted, '--timeout', '4s'], { lab })
  ])
  t.ok(['NO_PEER_FOUND', 'TICKET_UNKNOWN'].includes(refusal.code), refusal.line)
  t.is(
    refusal.exitCode,
    CODES[refusal.code === 'TICKET_UNKNOWN' ? 'TICKET_UNKNOWN' : 'NO_PEER_FOUND'].exitCode
  )
  t.ok(['WRONG_CLUSTER', 'NO_PEER_FOUND'].includes(wrong.code), wrong.line)
  t.is(await memberCount(), 2)
})

test('a ticket for clients makes no member', LIMIT, async (t) => {
  for (const role of ['client-read', 'client-write'] as const) {
    const text = encodeTicket({ ...decodeTicket(good), role })
    const refusal = await refused('birch', ['join', text], { lab })
    isRefused(t, refusal, 'TICKET_WRONG_ROLE')
  }
})

test('a learner ticket whose role was changed by hand makes no voter', LIMIT, async (t) => {
  const learner = await lab.json('alder', ['ticket', 'create', '--role', 'learner'])
  const forged = encodeTicket({ ...decodeTicket(String(learner['ticket'])), role: 'voter' })
  await lab.run('dogwood', ['join', forged, '--name', 'dogwood'])
  await lab.run('elm', ['join', good, '--name', 'elm'])
  await lab.voters('alder', 3)
  t.alike(
    (await lab.status('alder')).voters.toSorted((a, b) => a - b),
    [1, 2, 4],
    'the cluster knows what it gave'
  )
})

test(
  'MEM-09: a ticket of another cluster is refused on a directory that has a node, running or not',
  LIMIT,
  async (t) => {
    const foreign = (await lab.run('fir', ['create', '--name', 'fir', '--quiet'])).trim()
    const before = await lab.json('cedar', ['status'])
    isRefused(t, await refused('cedar', ['join', foreign], { lab }), 'DATA_DIR_TAKEN')
    await lab.run('cedar', ['stop'])
    isRefused(t, await refused('cedar', ['join', foreign], { lab }), 'DATA_DIR_TAKEN')
    isRefused(t, await refused('cedar', ['create'], { lab }), 'DATA_DIR_TAKEN')
    const after = await lab.json('cedar', ['start'])
    t.alike(after['node'], before['node'], 'the node is what it was')
    t.alike(after['cluster'], before['cluster'])
    await lab.run('cedar', ['kv', 'put', 'still', 'here', '--timeout', '20s'])
  }
)

test('after all of that the same machine joins with a good ticket', LIMIT, async (t) => {
  const count = await memberCount()
  const joined = await lab.json('birch', ['join', good, '--name', 'birch'])
  t.is(joined['already_member'], false)
  t.is(await memberCount(), count + 1)
  await lab.close()
  t.alike(lab.processes(), [])
})

function isRefused(
  t: {
    is(actual: unknown, expected: unknown, message?: string): void
    absent(value: unknown, message?: string): void
  },
  refusal: Refusal,
  code: ErrorCode
): void {
  t.is(refusal.code, code, refusal.line)
  t.is(refusal.exitCode, CODES[code].exitCode, refusal.line)
  t.is(refusal.applied, false, 'nothing happened')
  t.absent(/aspen1[a-z0-9]{20}/.test(refusal.line + refusal.message), 'the ticket is not repeated')
}

/** The first vector of each code; test/cli holds all of them, without a process for each. */
function oneOfEachKind(): Vector[] {
  const { bad }: { readonly bad: Vector[] } = JSON.parse(
    readFileSync('tickets/vectors.json', 'utf8')
  )
  const codes = new Set<string>()
  return bad.filter(({ code }) => !codes.has(code) && codes.add(code))
}

async function memberCount(): Promise<number> {
  const client = lab.client('alder')
  const { members } = await client.members()
  client.close()
  return members.length
}
