// The table of roles and messages, cell by cell.

import test from 'brittle'
import {
  CHANNEL_NAMES,
  isChannelName,
  mayOpen,
  maySend,
  MESSAGES,
  ROLES,
  typeOf
} from '../../lib/transport/permissions.ts'

void test('the table role × channel × message, exhaustively', (t) => {
  const allowed: string[] = []
  for (const role of ROLES) {
    for (const channel of CHANNEL_NAMES) {
      if (mayOpen(role, channel)) allowed.push(`${role} opens ${channel}`)
      MESSAGES[channel].forEach((kind, type) => {
        if (maySend(role, channel, type)) allowed.push(`${role} sends ${channel} ${kind}`)
      })
    }
  }
  t.alike(allowed, [
    'unproven opens hello',
    'unproven sends hello hello',
    'unproven sends hello proof',
    'unproven sends hello askWelcome',
    'unproven sends hello welcome',
    'unproven sends hello refusal',
    'member opens hello',
    'member sends hello refusal',
    'member opens raft',
    'member sends raft whole',
    'member sends raft first',
    'member sends raft next',
    'member sends raft ack',
    'member opens rpc',
    'member sends rpc whole',
    'member sends rpc first',
    'member sends rpc next',
    'member sends rpc ack',
    'member opens snapshot',
    'member sends snapshot whole',
    'member sends snapshot first',
    'member sends snapshot next',
    'member sends snapshot ack',
    'joiner opens join',
    'joiner sends join request',
    'sponsor opens join',
    'sponsor sends join proof',
    'sponsor sends join answer',
    'asked opens hello',
    'asked sends hello hello',
    'asked sends hello welcome',
    'asked sends hello refusal',
    'refused opens hello',
    'refused opens join'
  ])
})

void test('types beyond the table are nobody’s', (t) => {
  for (const role of ROLES) {
    for (const channel of CHANNEL_NAMES) {
      for (const type of [MESSAGES[channel].length, 255, 2 ** 40]) {
        t.absent(maySend(role, channel, type))
      }
    }
  }
})

void test('the wire types of format 1', (t) => {
  t.is(typeOf('hello', 'hello'), 0)
  t.is(typeOf('hello', 'refusal'), 4)
  t.is(typeOf('raft', 'ack'), 3)
  t.is(typeOf('join', 'answer'), 2)
  t.is(typeOf('snapshot', 'whole'), 0)
  t.ok(isChannelName('rpc'))
  t.absent(isChannelName('toString'))
})
