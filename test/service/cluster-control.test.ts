// The controller of a node, alone: what it says of an operation of several parts when a later one fails.

import test from 'brittle'
import { AspenError } from '../../lib/errors.ts'
import type { ErrorCode } from '../../lib/errors.ts'
import { ClusterControl } from '../../lib/service/cluster-control.ts'
import { EMPTY_TRUST } from '../../lib/state-machine/trust.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import { StillReplica } from './leader.ts'

const KEY = 'ab'.repeat(32)

/** How `addLearner` ends, where the admission and what follows it end like this. */
async function endOf(admission: ErrorCode | 'new' | 'known', following: ErrorCode) {
  const failing = (code: ErrorCode) => Promise.reject(new AspenError({ code, message: code }))
  const configuration = { members: [], outgoing: [] }
  const control = new ClusterControl({
    id: 1,
    clock: new VirtualTime(),
    replica: new StillReplica(),
    stateMachine: {
      trust: () => EMPTY_TRUST,
      applied: () => ({ index: 0, term: 0, configuration }),
      snapshots: { list: () => [] }
    },
    log: { idAt: () => 'compacted' },
    isInTouch: () => true,
    hasFailed: () => false,
    forwarder: {
      confirmRead: () => Promise.resolve(0),
      checkOpen: () => {},
      waitApplied: () => Promise.resolve(0)
    },
    lane: { ask: () => failing(following) },
    snapshots: { make: () => failing(following) },
    admit: () => {
      if (admission !== 'new' && admission !== 'known') return failing(admission)
      return Promise.resolve({ id: 4, isNew: admission === 'new' })
    },
    configuration: () => configuration
  })
  try {
    await control.addLearner({ learner: { key: KEY } })
    return null
  } catch (error) {
    return error instanceof AspenError ? error : null
  }
}

test('a learner whose admission is refused has not been added', async (t) => {
  t.is((await endOf('UNAVAILABLE', 'UNAVAILABLE'))?.code, 'UNAVAILABLE')
  t.is((await endOf('MEMBER_REMOVED', 'UNAVAILABLE'))?.outcome, 'refused')
})

test('once a learner is admitted, nobody says that nothing happened', async (t) => {
  for (const code of ['UNAVAILABLE', 'OVERLOADED'] as const) {
    const error = await endOf('new', code)
    t.alike([error?.code, error?.outcome], ['OUTCOME_UNKNOWN', 'unknown'])
    t.ok(error?.message.startsWith('node 4 is admitted'))
    t.is((await endOf('known', code))?.code, code, 'it was admitted before')
  }
  t.is((await endOf('new', 'TIMEOUT'))?.code, 'TIMEOUT')
  t.is((await endOf('new', 'MEMBER_REMOVED'))?.code, 'MEMBER_REMOVED', 'it is gone by now')
})
