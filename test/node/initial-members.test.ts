// The members that a cluster is founded with: their order, and what is said when something is missing.

import test from 'brittle'
import { systemClock, systemTimers } from '../../lib/clock.ts'
import { keyPairFromSeed } from '../../lib/crypto.ts'
import { hexOf } from '../../lib/encoding.ts'
import type { AspenError } from '../../lib/errors.ts'
import { asAspenError, ControlPlaneError } from '../../lib/errors.ts'
import { addInitialMembers, othersOf } from '../../lib/node/initial-members.ts'
import type { ClusterController, NodeSpec } from '../../lib/service/cluster-controller.ts'
import { MemoryController } from '../http/memory-controller.ts'

function keyOf(seed: number): string {
  return hexOf(keyPairFromSeed(new Uint8Array(32).fill(seed)).publicKey)
}

const [OWN, B, C, D] = [keyOf(1), keyOf(2), keyOf(3), keyOf(4)]

/** Seeds of the others in the order of their ids. */
function orderOf(members: readonly NodeSpec[]): string {
  const names = new Map([B, C, D].map((key, at) => [key, 'bcd'[at] ?? '']))
  return othersOf(members, OWN)
    .map(({ key }) => names.get(key))
    .join('')
}

test('ids are those that are asked for, and what they leave, in the order of the request', async (t) => {
  const own = { key: OWN }
  t.is(orderOf([own]), '')
  t.is(orderOf([{ key: D }, own, { key: B }, { key: C }]), 'dbc')
  t.is(
    orderOf([
      { key: OWN, id: 1 },
      { key: D, id: 3 },
      { key: B, id: 4 },
      { key: C, id: 2 }
    ]),
    'cdb'
  )
  t.is(orderOf([own, { key: B }, { key: C, id: 2 }, { key: D }]), 'cbd')
  for (const ids of [
    [2, 2],
    [5, 2],
    [1, 2]
  ]) {
    const members = [own, { key: B, id: ids[0] ?? 0 }, { key: C, id: ids[1] ?? 0 }]
    await t.exception(() => othersOf(members, OWN), /are 1 to 3, each once/, ids.join())
  }
})

test('a hundred voters at most', async (t) => {
  const members = [OWN, ...Array.from({ length: 100 }, (_none, at) => keyOf(at + 2))]
  const specs = members.map((key) => ({ key }))
  t.is(othersOf(specs.slice(0, 100), OWN).length, 99)
  await t.exception(() => othersOf(specs, OWN), /at most 100 voters, not 101/)
})

/** A controller of which some operations fail. */
function failing(code: 'TIMEOUT' | 'MEMBER_REMOVED', ...names: (keyof ClusterController)[]) {
  const controller = new MemoryController(async (_options, operation) => operation())
  const fail = async (): Promise<never> => {
    throw new ControlPlaneError({ code, message: 'so it went' })
  }
  for (const name of names) Object.assign(controller, { [name]: fail })
  return controller
}

async function adding(
  cluster: ClusterController,
  keys: readonly string[]
): Promise<AspenError | null> {
  const others = keys.map((key) => ({ key }))
  const time = { clock: systemClock, timers: systemTimers }
  const deadlineMs = systemClock.nowMs() + 1_000
  return await addInitialMembers({ cluster, others, deadlineMs, ...time }).then(
    () => null,
    asAspenError
  )
}

test('what is missing is named, and never told as refused: a cluster is there', async (t) => {
  // the program's own timers do not keep a process alive
  const alive = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(alive))
  t.is(await adding(failing('TIMEOUT'), [B, C]), null)
  const cases = [
    { cluster: failing('TIMEOUT', 'addLearner'), code: 'TIMEOUT', message: B.slice(0, 8) },
    { cluster: failing('MEMBER_REMOVED', 'addLearner'), code: 'FAILED', message: B.slice(0, 8) },
    { cluster: failing('TIMEOUT', 'changeMembership'), code: 'TIMEOUT', message: 'not all voters' }
  ]
  for (const { cluster, code, message } of cases) {
    const error = await adding(cluster, [B])
    t.is(error?.code, code)
    t.ok(error?.message.includes('is founded') && error.message.includes(message), error?.message)
    t.is(error?.outcome, 'unknown')
  }
  const alone = await adding(failing('MEMBER_REMOVED', 'currentState'), [])
  t.is(alone?.code, 'FAILED')
})
