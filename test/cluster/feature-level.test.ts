// The level is raised when all members support it, by the leader, once, and only when it is needed.

import test from 'brittle'
import { FeatureLevel } from '../../lib/cluster/feature-level.ts'
import type { NodeId } from '../../lib/node-id.ts'
import { configurationOf, statusOf } from './fixtures.ts'

const CONFIGURATION = configurationOf({ 1: 'voter', 2: 'voter', 3: 'learner' })

function open() {
  const heldBack: (readonly [number, readonly NodeId[]])[] = []
  const proposed: { level: number; onEnd: () => void }[] = []
  const world = {
    status: statusOf(CONFIGURATION),
    applied: { term: 4, featureLevel: 1 },
    levels: { 2: 2, 3: 2 } as Record<NodeId, number>,
    admitted: [1, 2, 3]
  }
  const level = new FeatureLevel({
    id: 1,
    ownLevel: 2,
    status: () => world.status,
    applied: () => world.applied,
    links: () =>
      Object.entries(world.levels).map(([id, featureLevel]) => ({ id: Number(id), featureLevel })),
    admitted: () => world.admitted.map((id) => ({ id })),
    propose: (raised, onEnd) => void proposed.push({ level: raised, onEnd }),
    onHeldBack: (needed, by) => void heldBack.push([needed, by])
  })
  return { level, world, proposed, heldBack }
}

test('what is reached needs no proposal, whoever asks', (t) => {
  const { level, world, proposed } = open()
  t.ok(level.isReached(0))
  t.ok(level.isReached(1))
  world.status = statusOf(CONFIGURATION, { role: 'follower' })
  t.ok(level.isReached(1))
  t.is(proposed.length, 0)
})

test('a leader raises what all members support, once at a time', (t) => {
  const { level, world, proposed } = open()
  t.absent(level.isReached(2))
  t.absent(level.isReached(2))
  t.alike(
    proposed.map((one) => one.level),
    [2]
  )
  proposed[0]?.onEnd()
  t.absent(level.isReached(2), 'it was refused: once more')
  t.is(proposed.length, 2)
  world.applied = { term: 4, featureLevel: 2 }
  t.ok(level.isReached(2))
})

test('an older member, one that is away, one just admitted, or another leader: nothing is raised', (t) => {
  const cases: readonly [string, (world: ReturnType<typeof open>['world']) => void][] = [
    ['a learner of an older version', ({ levels }) => void (levels[3] = 1)],
    ['a voter without a link', ({ levels }) => void delete levels[2]],
    ['admitted, in no configuration', ({ admitted }) => void admitted.push(4)],
    ['a follower', (world) => void (world.status = statusOf(CONFIGURATION, { role: 'follower' }))],
    ['a leader whose term has not begun', (world) => void (world.applied.term = 3)]
  ]
  for (const [what, change] of cases) {
    const { level, world, proposed } = open()
    change(world)
    t.absent(level.isReached(2), what)
    t.is(proposed.length, 0, what)
  }
  const { level, proposed } = open()
  t.absent(level.isReached(3), 'a level that this program does not know itself')
  t.is(proposed.length, 0)
})

test('who holds a level back is told once, by the leader alone', (t) => {
  const { level, world, proposed, heldBack } = open()
  world.status = statusOf(CONFIGURATION, { role: 'follower' })
  world.levels = { 2: 1 }
  world.admitted.push(7)
  level.isReached(2)
  t.alike(heldBack, [])
  world.status = statusOf(CONFIGURATION)
  level.isReached(2)
  level.isReached(2)
  t.alike(heldBack, [[2, [2, 3, 7]]])
  level.isReached(3)
  t.alike(heldBack[1], [3, [1, 2, 3, 7]], 'another level is news')
  t.is(proposed.length, 0)
})
