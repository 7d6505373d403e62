// Numbers of requests, and below which nobody waits any more.

import test from 'brittle'
import { hexOf } from '../../lib/encoding.ts'
import { MAX_SESSION_RESULTS } from '../../lib/limits.ts'
import { SeededRandom } from '../../lib/random.ts'
import { RequestIds } from '../../lib/service/request-ids.ts'
import type { IssuedRequest } from '../../lib/service/request-ids.ts'

function idsFrom(appliedIndex = 5): RequestIds {
  return new RequestIds({ random: new SeededRandom(1), appliedIndex: () => appliedIndex })
}

const numbersOf = ({ id }: IssuedRequest) => [id.sequence, id.answeredBelow]

test('numbers ascend; the lowest that is waited for goes with each', async (t) => {
  const ids = idsFrom()
  const [first, second, third] = [ids.issue(), ids.issue(), ids.issue()]
  t.alike([first, second, third].map(numbersOf), [
    [1, 1],
    [2, 1],
    [3, 1]
  ])
  second.end()
  const fourth = ids.issue()
  t.alike(numbersOf(fourth), [4, 1], 'the first still waits')
  first.end()
  t.alike(numbersOf(ids.issue()), [5, 3])
  third.end()
  fourth.end()
  t.is(first.id.since, 5)
  t.is(first.id.clientId.byteLength, 16)
  await t.exception.all(() => first.end(), /ends once/)
})

test('a client without a request in progress goes on', (t) => {
  const ids = idsFrom()
  const first = ids.issue()
  first.end()
  const second = ids.issue()
  t.alike(numbersOf(second), [2, 2])
  t.alike(second.id.clientId, first.id.clientId)
})

test('a request that waits long is left to its client, before the cluster would take it for given up', (t) => {
  const ids = idsFrom()
  const slow = ids.issue()
  for (let count = 1; count < MAX_SESSION_RESULTS; count++) {
    const quick = ids.issue()
    t.alike(quick.id.clientId, slow.id.clientId)
    quick.end()
  }
  const next = ids.issue()
  t.unlike(next.id.clientId, slow.id.clientId)
  t.alike(numbersOf(next), [1, 1])
  slow.end()
  next.end()
})

test('a forgotten client is replaced once, from the index that was named or applied here', (t) => {
  const ids = idsFrom(50)
  const [first, second] = [ids.issue(), ids.issue()]
  first.onExpired(60)
  const third = ids.issue()
  second.onExpired(40)
  const fourth = ids.issue()
  t.is(hexOf(third.id.clientId), hexOf(fourth.id.clientId))
  t.unlike(third.id.clientId, first.id.clientId)
  t.is(third.id.since, 60)
  t.is(first.id.since, 50)
  fourth.onExpired(55)
  t.is(ids.issue().id.since, 60, 'it never goes back')
})
