// Who may knock, and how often a refusal is answered.

import test from 'brittle'
import {
  MAX_CONNECTIONS_PER_INVITE,
  MAX_INVITE_CONNECTIONS,
  MAX_KNOCKS_PER_SECOND,
  MAX_REFUSALS_PER_SECOND,
  MAX_UNPROVEN_CONNECTIONS,
  REFUSAL_PAUSE_MS
} from '../../lib/limits.ts'
import { Gate } from '../../lib/transport/gate.ts'
import type { Place } from '../../lib/transport/gate.ts'
import { keyPairOf, secretOf, TableTrust } from './harness.ts'

const KEY = keyPairOf('somebody').publicKey

function gateOf(): { gate: Gate; trust: TableTrust; time: { nowMs: number } } {
  const trust = new TableTrust(null)
  const time = { nowMs: 0 }
  const clock = { nowMs: () => time.nowMs, wallMs: () => 0 }
  return { gate: new Gate(trust, clock), trust, time }
}

void test('strangers are not answered, members always are', (t) => {
  const { gate, trust } = gateOf()
  t.absent(gate.mayKnock(KEY))
  trust.setStanding(KEY, { kind: 'member', id: 1 })
  for (let count = 0; count < 1_000; count++) t.ok(gate.mayKnock(KEY) || count < 0)
})

void test('unproven connections have a cap', (t) => {
  const { gate, trust } = gateOf()
  trust.fallback = { kind: 'unproven' }
  const places: (Place | null)[] = []
  for (let count = 0; count < MAX_UNPROVEN_CONNECTIONS; count++) places.push(gate.enterUnproven())
  t.absent(places.includes(null))
  t.is(gate.enterUnproven(), null)
  t.absent(gate.mayKnock(KEY))
  places[0]?.free()
  places[0]?.free()
  t.ok(gate.mayKnock(KEY))
  t.not(gate.enterUnproven(), null)
  t.is(gate.enterUnproven(), null, 'a place is freed once')
})

void test('handshakes with keys that are no members have a rate', (t) => {
  const { gate, trust, time } = gateOf()
  const member = keyPairOf('member').publicKey
  trust.setStanding(member, { kind: 'member', id: 1 })
  trust.setStanding(KEY, { kind: 'invite', proofKey: secretOf(1) })
  for (const fallback of ['stranger', 'unproven'] as const) {
    trust.fallback = { kind: fallback }
    time.nowMs += 1_000
    let count = 0
    for (let other = 0; other < 1_000; other++) {
      const key = other % 2 === 0 ? KEY : keyPairOf(`other ${other}`).publicKey
      if (gate.mayKnock(key)) count++
    }
    t.is(count, MAX_KNOCKS_PER_SECOND)
    t.ok(gate.mayKnock(member))
  }
})

void test('joiners have a cap per invite and in all', (t) => {
  const { gate } = gateOf()
  const places: (Place | null)[] = []
  for (let invite = 0; invite < MAX_INVITE_CONNECTIONS / MAX_CONNECTIONS_PER_INVITE; invite++) {
    const { publicKey } = keyPairOf(`invite ${invite}`)
    for (let count = 0; count < MAX_CONNECTIONS_PER_INVITE; count++) {
      places.push(gate.enterInvite(publicKey))
    }
    t.is(gate.enterInvite(publicKey), null)
  }
  t.absent(places.includes(null))
  t.is(gate.enterInvite(keyPairOf('another').publicKey), null)
  places[0]?.free()
  t.not(gate.enterInvite(keyPairOf('another').publicKey), null)
})

void test('joiners over their cap are told so, but not without end', (t) => {
  const { gate, trust } = gateOf()
  trust.setStanding(KEY, { kind: 'invite', proofKey: secretOf(1) })
  let count = 0
  while (gate.mayKnock(KEY) && count < 100) {
    gate.enterBusy()
    count++
  }
  t.is(count, 16)
})

void test('a refused key is answered once per pause, and all of them have a rate', (t) => {
  const { gate, trust, time } = gateOf()
  trust.fallback = { kind: 'refused', error: { code: 'MEMBER_REMOVED', message: 'gone' } }
  t.ok(gate.mayKnock(KEY))
  t.absent(gate.mayKnock(KEY))
  time.nowMs += REFUSAL_PAUSE_MS
  t.ok(gate.mayKnock(KEY))
  let count = 1
  for (let other = 0; other < 100; other++) {
    if (gate.mayKnock(keyPairOf(`other ${other}`).publicKey)) count++
  }
  t.is(count, MAX_REFUSALS_PER_SECOND)
  time.nowMs += 1_000
  t.ok(gate.mayKnock(keyPairOf('other 99').publicKey))
})
