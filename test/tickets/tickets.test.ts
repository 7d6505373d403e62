// The ticket format: the vectors, every single-character mistake, and random tickets.

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import test from 'brittle'
import { parseAddress } from '../../lib/address.ts'
import type { Address } from '../../lib/address.ts'
import { assert, AssertionError, present } from '../../lib/assert.ts'
import { bytesFromHex, hexOf } from '../../lib/encoding.ts'
import { TicketError } from '../../lib/errors.ts'
import { MAX_TICKET_LENGTH } from '../../lib/limits.ts'
import type { Ticket, TicketRole } from '../../tickets/tickets.ts'
import {
  decodeTicket,
  encodeTicket,
  inviteIdOf,
  inviteKeysOf,
  redactTicket,
  redactTickets,
  ticketFingerprint
} from '../../tickets/tickets.ts'

interface GoodVector {
  readonly name: string
  readonly text: string
  readonly ticket: {
    readonly role: TicketRole
    readonly cluster_id: string
    readonly secret: string
    readonly expires_ms: number
    readonly member_keys: readonly string[]
    readonly addresses: readonly string[]
    readonly bootstrap: readonly string[]
  }
  readonly invite: {
    readonly id: string
    readonly public_key: string
    readonly proof_key: string
    readonly topic: string
  }
}

interface Vectors {
  readonly version: number
  readonly good: readonly GoodVector[]
  readonly bad: readonly { readonly name: string; readonly text: string; readonly code: string }[]
}

const vectors: Vectors = JSON.parse(readFileSync('tickets/vectors.json', 'utf8'))
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const PRINTED = present(vectors.good[0], 'a vector').text
const ALPHABET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'.split('')
/** Everything on a keyboard, and some that is not. */
const TYPED = [...Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)), '\n', '…', 'é']

test('the good vectors decode to their fields and encode to their text', (t) => {
  t.is(vectors.version, 1)
  for (const { name, text, ticket, invite } of vectors.good) {
    const fields: Ticket = {
      role: ticket.role,
      clusterId: bytesOfHex(ticket.cluster_id, 16),
      secret: bytesOfHex(ticket.secret, 16),
      expiresMs: ticket.expires_ms,
      memberKeys: ticket.member_keys.map((key) => bytesOfHex(key, 32)),
      addresses: ticket.addresses.map(addressOf),
      bootstrap: ticket.bootstrap.map(addressOf)
    }
    t.alike(decodeTicket(text), fields, name)
    t.is(encodeTicket(fields), text)
    t.alike(decodeTicket(` \t${text.toUpperCase()}\r\n`), fields, 'upper case, whitespace')
    const { keyPair, proofKey, topic } = inviteKeysOf(fields.secret)
    t.is(hexOf(keyPair.publicKey), invite.public_key)
    t.is(hexOf(proofKey), invite.proof_key)
    t.is(hexOf(topic), invite.topic)
    t.is(ticketFingerprint(fields), invite.id)
    t.is(inviteIdOf(keyPair.publicKey), invite.id)
  }
})

test('the bad vectors are refused, each with its code', (t) => {
  for (const { name, text, code } of vectors.bad) t.is(codeOf(text), code, name)
  const mixed = present(
    vectors.bad.find(({ name }) => name === 'mixed case'),
    'a vector'
  )
  t.ok(errorOf(mixed.text)?.message.includes('mixes upper and lower case'))
})

test('a ticket as it is printed has 130 to 160 characters', (t) => {
  for (const { text, ticket } of vectors.good) {
    const isPrinted = ticket.member_keys.length === 1 && ticket.addresses.length === 1
    if (isPrinted) t.ok(text.length >= 130 && text.length <= 160, `${text.length} characters`)
  }
})

test('no single mistake in a ticket goes unnoticed', (t) => {
  t.timeout(120_000)
  const longest = present(vectors.good.find(({ name }) => name === 'the longest')?.text, 'a vector')
  for (const [text, typed] of [
    [PRINTED, TYPED],
    [longest, ALPHABET]
  ] as const) {
    const replaced = [...substitutions(text, typed), ...insertions(text, typed)]
    const mistakes = [...replaced, ...deletions(text), ...swaps(text)]
    const surviving = mistakes.filter((mistake) => !isRefused(mistake, text))
    t.alike(surviving, [], `${mistakes.length} mistakes`)
  }
})

test('what begins like a ticket is called damaged, not something else', (t) => {
  const mistakes = [...substitutions(PRINTED, TYPED), ...insertions(PRINTED, TYPED)]
  for (const mistake of mistakes) {
    const isSame = mistake.trim() === PRINTED
    if (!mistake.startsWith('aspen1') || isSame) continue
    if (codeOf(mistake) !== 'TICKET_DAMAGED') t.fail(`${mistake}: ${codeOf(mistake)}`)
  }
  t.pass(`${mistakes.length} mistakes`)
})

test('two and three wrong characters are noticed too', (t) => {
  t.comment(`SEED=${SEED}`)
  const position = fc.integer({ min: 'aspen1'.length, max: PRINTED.length - 1 })
  const change = fc.tuple(position, fc.constantFrom(...ALPHABET))
  fc.assert(
    fc.property(fc.array(change, { minLength: 2, maxLength: 3 }), (changes) => {
      const characters = PRINTED.split('')
      for (const [at, character] of changes) characters[at] = character
      const text = characters.join('')
      return text === PRINTED || codeOf(text) === 'TICKET_DAMAGED'
    }),
    { seed: SEED, numRuns: 5_000 }
  )
  t.pass('all of them')
})

test('any ticket comes back as it was, in at most 300 characters', (t) => {
  t.comment(`SEED=${SEED}`)
  fc.assert(
    fc.property(anyTicket(3), (ticket) => {
      const text = encodeTicket(ticket)
      assert(text.length <= MAX_TICKET_LENGTH, 'it fits')
      assert(/^aspen1[a-z0-9]+$/.test(text), 'letters and digits')
      const decoded = decodeTicket(text)
      assert(encodeTicket(decoded) === text, 'the same text again')
      assert(JSON.stringify(plain(decoded)) === JSON.stringify(plain(ticket)), 'the same fields')
    }),
    { seed: SEED, numRuns: 500 }
  )
  t.pass('all of them')
})

test('any longer list loses its end, and what comes twice', (t) => {
  t.comment(`SEED=${SEED}`)
  fc.assert(
    fc.property(anyTicket(9), fc.nat(8), (ticket, position) => {
      const again = ticket.addresses[position % Math.max(1, ticket.addresses.length)]
      const addresses = again === undefined ? [] : [again, ...ticket.addresses]
      const decoded = decodeTicket(encodeTicket({ ...ticket, addresses }))
      const distinct = addresses.filter((one, i) => i === 0 || one !== again)
      const expected = plain({
        ...ticket,
        memberKeys: ticket.memberKeys.slice(0, 3),
        addresses: distinct.slice(0, 3),
        bootstrap: ticket.bootstrap.slice(0, 3)
      })
      assert(JSON.stringify(plain(decoded)) === JSON.stringify(expected), 'the first three of each')
    }),
    { seed: SEED, numRuns: 300 }
  )
  t.pass('all of them')
})

test('any text at all is a ticket or a TicketError, and the error does not repeat it', (t) => {
  t.comment(`SEED=${SEED}`)
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string().map((rest) => `aspen1${rest}`),
    fc.string({ unit: fc.constantFrom(...ALPHABET), maxLength: 400 }).map((rest) => `aspen1${rest}`)
  )
  fc.assert(
    fc.property(text, (input) => {
      const code = codeOf(input)
      assert(code !== null, 'no such text has a checksum by chance')
    }),
    { seed: SEED, numRuns: 2_000 }
  )
  const broken = `${PRINTED.slice(0, -1)}x`
  const error = errorOf(broken)
  t.absent(`${error?.message} ${error?.detail.hint} ${String(error?.cause)}`.includes('qyqg2kcu'))
})

test('an expiry is rounded down to the second, and beyond 2106 is a mistake', async (t) => {
  const ticket = decodeTicket(PRINTED)
  t.is(decodeTicket(encodeTicket({ ...ticket, expiresMs: 1_999.9 })).expiresMs, 1_000)
  await t.exception.all(
    () => encodeTicket({ ...ticket, expiresMs: 2 ** 32 * 1_000 }),
    AssertionError
  )
  await t.exception.all(() => encodeTicket({ ...ticket, expiresMs: -1 }), AssertionError)
  await t.exception.all(() => encodeTicket({ ...ticket, memberKeys: [] }), AssertionError)
})

test('a newer ticket names its version and the one that is understood', (t) => {
  const newer = present(
    vectors.bad.find(({ code }) => code === 'TICKET_NEWER'),
    'a vector'
  )
  const error = errorOf(newer.text)
  t.alike(error?.detail.fields, { format: 2, supported: 1 })
  t.ok(error?.message.includes('format 2'))
})

test('what is printed of a ticket tells its name and nothing of its secret', (t) => {
  const id = present(vectors.good[0], 'a vector').invite.id
  t.is(redactTicket(PRINTED), `aspen1…540e (${id})`)
  t.is(redactTicket(`  ${PRINTED.toUpperCase()}\n`), `aspen1…540E (${id})`)
  const damaged = `${PRINTED.slice(0, 40)}b${PRINTED.slice(41)}`
  t.is(redactTicket(damaged), 'aspen1…540e')
  t.is(redactTicket('aspen1qqqqqqqq'), 'aspen1…')
})

test('tickets in a text are redacted wherever they stand', async (t) => {
  const id = present(vectors.good[0], 'a vector').invite.id
  const line = JSON.stringify({ argv: ['join', PRINTED], msg: `ticket ${PRINTED}, as given` })
  const redacted = redactTickets(line)
  t.absent(redacted.includes(PRINTED.slice(6, 20)))
  t.is(redacted.split(`aspen1…540e (${id})`).length, 2)
  await t.execution(() => JSON.parse(redacted))
  for (const { text } of vectors.bad) {
    const found = redactTickets(`> ${text} <`)
    if (/^aspen1/i.test(text)) t.absent(found.includes('qyqg2kcu'), text.slice(0, 12))
  }
  t.is(redactTickets('aspen join aspen1… or aspen1 alone'), 'aspen join aspen1… or aspen1 alone')
})

function* substitutions(text: string, typed: readonly string[]): Generator<string> {
  for (let i = 0; i < text.length; i++) {
    for (const character of typed) {
      if (character !== text[i]) yield text.slice(0, i) + character + text.slice(i + 1)
    }
  }
}

function* deletions(text: string): Generator<string> {
  for (let i = 0; i < text.length; i++) yield text.slice(0, i) + text.slice(i + 1)
}

function* insertions(text: string, typed: readonly string[]): Generator<string> {
  for (let i = 0; i <= text.length; i++) {
    for (const character of typed) yield text.slice(0, i) + character + text.slice(i)
  }
}

function* swaps(text: string): Generator<string> {
  for (let i = 0; i + 1 < text.length; i++) {
    const swapped = text.slice(0, i) + text[i + 1] + text[i] + text.slice(i + 2)
    if (swapped !== text) yield swapped
  }
}

/** Or is the same ticket with other whitespace around it. */
function isRefused(mistake: string, text: string): boolean {
  return codeOf(mistake) !== null || mistake.trim() === text
}

function errorOf(text: string): TicketError | null {
  try {
    decodeTicket(text)
    return null
  } catch (error) {
    if (error instanceof TicketError) return error
    throw error
  }
}

function codeOf(text: string): string | null {
  return errorOf(text)?.code ?? null
}

function bytesOfHex(hex: string, size: number): Uint8Array {
  return present(bytesFromHex(hex, size), 'hex digits')
}

function addressOf(text: string): Address {
  return present(parseAddress(text), 'an address')
}

function anyTicket(maxLength: number): fc.Arbitrary<Ticket> {
  const address = fc.record({
    host: fc.ipV4(),
    port: fc.integer({ min: 1, max: 65_535 })
  })
  const addresses = fc.uniqueArray(address, {
    maxLength,
    selector: ({ host, port }) => `${host}:${port}`
  })
  const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size })
  return fc.record({
    role: fc.constantFrom<TicketRole>('voter', 'learner', 'client-read', 'client-write'),
    clusterId: bytes(16),
    secret: bytes(16),
    expiresMs: fc.integer({ min: 0, max: 0xffff_ffff }).map((seconds) => seconds * 1_000),
    memberKeys: fc.uniqueArray(bytes(32), { minLength: 1, maxLength, selector: hexOf }),
    addresses,
    bootstrap: addresses
  })
}

function plain(ticket: Ticket): unknown {
  const { role, clusterId, secret, expiresMs, memberKeys, addresses, bootstrap } = ticket
  const lists = [addresses, bootstrap].map((list) => list.map(({ host, port }) => [host, port]))
  return [role, hexOf(clusterId), hexOf(secret), expiresMs, memberKeys.map(hexOf), lists]
}
