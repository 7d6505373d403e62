// Majorities: the fast answer equals the slow one (B41).

import test from 'brittle'
import fc from 'fast-check'
import { allVoters, isAlone, quorumValue } from '../../lib/raft/quorum.ts'

const ids = fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 9 })

test('the quorum value is the highest that a majority of each set has reached', (t) => {
  const seed = Date.now() % 1_000_000
  t.comment(`seed ${seed}`)
  const outgoing = fc.oneof(fc.constant([]), ids)
  const values = fc.array(fc.nat(5), { minLength: 13, maxLength: 13 })
  const property = fc.property(ids, outgoing, values, (incoming, leaving, known) => {
    const valueOf = (id: number): number => known[id] ?? 0
    const isReached = (set: readonly number[], value: number): boolean =>
      set.length === 0 || set.filter((id) => valueOf(id) >= value).length * 2 > set.length
    const slow = [5, 4, 3, 2, 1, 0].find(
      (value) => isReached(incoming, value) && isReached(leaving, value)
    )
    return quorumValue({ incoming, outgoing: leaving }, valueOf) === slow
  })
  fc.assert(property, { seed, numRuns: 2_000 })
  t.pass()
})

test('no set, no majority', async (t) => {
  await t.exception.all(() => quorumValue({ incoming: [], outgoing: [] }, () => 1), /neither empty/)
})

test('a node decides alone only if it is the only voter of every active set', (t) => {
  t.ok(isAlone({ incoming: [1], outgoing: [] }, 1))
  t.ok(isAlone({ incoming: [1], outgoing: [1] }, 1))
  t.absent(isAlone({ incoming: [1], outgoing: [2] }, 1))
  t.absent(isAlone({ incoming: [1, 2], outgoing: [1] }, 1))
  t.absent(isAlone({ incoming: [2], outgoing: [] }, 1))
  t.absent(isAlone({ incoming: [], outgoing: [] }, 1))
  t.alike(allVoters({ incoming: [3, 1], outgoing: [2, 1] }), [1, 2, 3])
})
