// Snapshots of members are compared at equal index.

import test from 'brittle'
import type { NodeId } from '../../lib/node-id.ts'
import { StateCompare } from '../../lib/replica/state-compare.ts'
import type { StateDifference } from '../../lib/replica/state-compare.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'

const OWN = new Uint8Array(32).fill(1)
const [OTHER, THIRD] = [new Uint8Array(32).fill(2), new Uint8Array(32).fill(3)]

/** What each of the others has at index 7; null for nothing, undefined for no answer. */
async function compare(says: ReadonlyMap<NodeId, Uint8Array | null | undefined>, waitMs = 70_000) {
  const time = new VirtualTime()
  const differences: StateDifference[] = []
  let askCount = 0
  const compared = new StateCompare({
    timers: time,
    ask: (to, request, onHeard) => {
      askCount++
      const said = says.get(to)
      if (said === undefined || request.kind !== 'digest' || request.index !== 7) return
      time.soon(() =>
        onHeard(said === null ? { kind: 'notHere' } : { kind: 'digest', contentHash: said })
      )
    },
    others: () => [...says.keys()],
    onDifference: (difference) => differences.push(difference)
  })
  compared.onSnapshot({ index: 7, contentHash: OWN })
  await time.run(waitMs)
  return { time, compared, differences, askCount }
}

test('equal states are no news, and nobody is asked twice', async (t) => {
  const { differences, askCount, time } = await compare(
    new Map([
      [2, OWN],
      [3, OWN]
    ])
  )
  t.alike(differences, [])
  t.is(askCount, 2)
  t.is(time.pendingCount, 0)
})

test('who differs alone is outvoted; who is one of two is not', async (t) => {
  const alone = await compare(
    new Map([
      [2, OTHER],
      [3, OTHER]
    ])
  )
  t.alike(alone.differences, [{ index: 7, same: [], different: [2, 3], isOutvoted: true }])
  const pair = await compare(new Map([[2, OTHER]]))
  t.alike(pair.differences, [{ index: 7, same: [], different: [2], isOutvoted: false }])
})

test('the majority goes on, and names the one that differs', async (t) => {
  const { differences } = await compare(
    new Map([
      [2, OTHER],
      [3, OWN]
    ])
  )
  t.alike(differences, [{ index: 7, same: [3], different: [2], isOutvoted: false }])
})

test('others that differ among themselves outvote nobody', async (t) => {
  const { differences } = await compare(
    new Map([
      [2, OTHER],
      [3, THIRD]
    ])
  )
  t.is(differences[0]?.isOutvoted, false)
})

test('members that say nothing count as members: half of five is no majority', async (t) => {
  const says = new Map<NodeId, Uint8Array | null | undefined>([
    [2, OTHER],
    [3, OTHER],
    [4, null],
    [5, undefined]
  ])
  const { differences, askCount } = await compare(says)
  t.is(differences[0]?.isOutvoted, false)
  t.is(askCount, 4 + 5 * 2, 'those that have said nothing are asked again, for a minute')
})

test('the next snapshot, and the end, end a comparison', async (t) => {
  const { compared, differences, time } = await compare(
    new Map([
      [2, OTHER],
      [3, null]
    ]),
    3_000
  )
  t.alike(differences, [])
  compared.onSnapshot({ index: 8, contentHash: OWN })
  t.is(differences.length, 1, 'with what is known')
  compared.close()
  await time.run(100_000)
  t.is(differences.length, 1)
  t.is(time.pendingCount, 0)
})
