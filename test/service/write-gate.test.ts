// What a leader does not even propose, and what always passes.

import test from 'brittle'
import { bytesOf } from '../../lib/encoding.ts'
import { CODES } from '../../lib/errors.ts'
import { ENTRY_KIND } from '../../lib/raft/entry.ts'
import { encodeControl, encodeWrite } from '../../lib/state-machine/encoding.ts'
import type { StateSize } from '../../lib/service/write-gate.ts'
import { WriteGate } from '../../lib/service/write-gate.ts'
import type { LeaderAnswer } from '../../lib/service/encoding.ts'
import { decode, encode } from '../../lib/encoding.ts'
import { leaderAnswer, leaderRequest } from '../../lib/service/encoding.ts'
import { Desk, fateOf } from './leader.ts'
import { put } from './samples.ts'

const key = bytesOf('k')
const PUT = { kind: 'put', key, value: bytesOf('v'), condition: null } as const
const DELETE = { kind: 'delete', key: bytesOf('d'), condition: null } as const
const writeOf = (...changes: (typeof PUT | typeof DELETE)[]) => ({
  kind: ENTRY_KIND.write,
  payload: encodeWrite({ changes }, null)
})
const CONTROL = {
  kind: ENTRY_KIND.control,
  payload: encodeControl({ kind: 'revokeInvite', publicKey: new Uint8Array(32) })
}

function open(world: { isDiskFull?: boolean; size?: StateSize } = {}) {
  const { isDiskFull = false, size = { entryCount: 9, byteCount: 99 } } = world
  const passed: number[] = []
  const gate = new WriteGate({
    isDiskFull: () => isDiskFull,
    stateSize: () => size,
    maxState: { entryCount: 10, byteCount: 100 },
    onPassed: (bytes) => void passed.push(bytes)
  })
  return { gate, passed }
}

test('with room everything passes and is counted', (t) => {
  const { gate, passed } = open()
  const entries = [writeOf(PUT), writeOf(DELETE), CONTROL]
  for (const entry of entries) t.is(gate.refusalOf(entry), null)
  t.alike(
    passed,
    entries.map(({ payload }) => payload.byteLength)
  )
})

test('without room what makes room passes, and what needs it does not', (t) => {
  const full = [
    ['diskFull', { isDiskFull: true }],
    ['storeFull', { size: { entryCount: 10, byteCount: 0 } }],
    ['storeFull', { size: { entryCount: 0, byteCount: 100 } }],
    ['diskFull', { isDiskFull: true, size: { entryCount: 10, byteCount: 100 } }]
  ] as const
  for (const [reason, world] of full) {
    const { gate, passed } = open(world)
    t.is(gate.refusalOf(writeOf(PUT)), reason)
    t.is(gate.refusalOf(writeOf(DELETE, PUT)), reason, 'a batch is one write')
    t.is(passed.length, 0, 'what is refused is not counted')
    t.is(gate.refusalOf(writeOf(DELETE)), null)
    t.is(gate.refusalOf(CONTROL), null)
  }
})

test('a refusal ends the write at once, and says that nothing happened: 507', async (t) => {
  for (const [reason, code] of [
    ['diskFull', 'DISK_SPACE_INSUFFICIENT'],
    ['storeFull', 'STORE_FULL']
  ] as const) {
    t.alike(
      [CODES[code].httpStatus, CODES[code].exitCode, CODES[code].outcome],
      [507, 75, 'refused']
    )
    const near = new Desk()
    near.follow(2, 3)
    near.refusalOf = () => reason
    const own = fateOf(near.forwarder.submit(put('k'), 5_000))
    const far = new Desk()
    far.follow(1, 3)
    const forwarded = fateOf(far.forwarder.submit(put('k'), 5_000))
    far.wire.last.answer({ kind: 'outcomes', outcomes: [{ kind: 'refused', reason }] })
    await near.time.run(0)
    await far.time.run(0)
    t.is(own.code, code)
    t.is(near.replica.proposed.length, 0, 'it was not proposed')
    t.is(forwarded.code, code)
  }
})

test('a command in doubt is not called refused', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const fate = fateOf(desk.forwarder.submit(put('k'), 1_000))
  desk.wire.last.end({ kind: 'lost' })
  await desk.time.run(60)
  const refused = { kind: 'refused', reason: 'diskFull' } as const
  desk.wire.last.answer({ kind: 'outcomes', outcomes: [refused] })
  await desk.time.run(2_000)
  t.is(fate.code, 'TIMEOUT')
})

test('a leader refuses what others ask of it one by one, and says whether it has space', async (t) => {
  const desk = new Desk()
  desk.follow(2, 3)
  const { gate } = open({ isDiskFull: true })
  desk.refusalOf = (entry) => gate.refusalOf(entry)
  const answers: LeaderAnswer[] = []
  const answer = (bytes: Uint8Array) => void answers.push(decode(leaderAnswer, bytes))
  const proposals = [writeOf(PUT), writeOf(DELETE)]
  const request = { kind: 'propose', timeoutMs: 1_000, proposals } as const
  desk.forwarder.onRequest(1, encode(leaderRequest, request), answer)
  t.is(desk.replica.proposed.length, 1)
  desk.replica.proposed[0]?.onOutcome({ kind: 'done', index: 5, result: { kind: 'none' } })
  t.alike(answers, [
    {
      kind: 'outcomes',
      outcomes: [
        { kind: 'refused', reason: 'diskFull' },
        { kind: 'done', index: 5, result: { kind: 'none' } }
      ]
    }
  ])
  const all = { kind: 'propose', timeoutMs: 1_000, proposals: [writeOf(PUT)] } as const
  desk.forwarder.onRequest(1, encode(leaderRequest, all), answer)
  t.is(answers.length, 2, 'an answer comes also when nothing is proposed')
  for (const hasSpace of [true, false]) {
    desk.hasSpace = hasSpace
    desk.forwarder.onRequest(1, encode(leaderRequest, { kind: 'askDisk' }), answer)
    t.alike(answers.at(-1), { kind: 'disk', hasSpace })
  }
})
