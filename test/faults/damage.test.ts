// Damage to each file of a data directory, and the next start: it repairs, or refuses with the reason,
// and whatever it serves is right; it never dies of it. Far more cases of the log alone: pages.test.ts. STO-07 and STO-09 damage the log, STO-16 the state machine, the
// identity and the other small files have a test of their own.

import test from 'brittle'
import type { Assert } from 'brittle'
import { randomBelow } from '../../lib/random.ts'
import type { Damage } from './damage.ts'
import { damageText, drawDamage } from './damage.ts'
import type { Opened } from './damage-bench.ts'
import { DamageBench } from './damage-bench.ts'
import { IS_FULL, seeded } from './seed.ts'
import { tally } from './tally.ts'

const LIMIT = { timeout: IS_FULL ? 3_500_000 : 590_000 }
const COUNT = IS_FULL ? 1_000 : 40

interface Plan {
  readonly kinds: readonly Damage['kind'][]
  readonly files: readonly string[]
  /** what may come of it, besides the node that is whole */
  readonly mayBe: readonly Opened['kind'][]
}

test('STO-07: a flipped bit or a zeroed sector in the log is never served', LIMIT, (t) =>
  check(t, { kinds: ['flip', 'zeros'], files: ['log/data.mdb'], mayBe: ['refused'] })
)

test('STO-09: a log that is cut short is never served', LIMIT, (t) =>
  check(t, { kinds: ['cut'], files: ['log/data.mdb'], mayBe: ['refused'] })
)

test('STO-16: a state machine that is damaged, cut or gone is never served', LIMIT, (t) =>
  check(t, {
    kinds: ['flip', 'zeros', 'cut', 'removal'],
    files: ['state/0.db'],
    mayBe: ['refused']
  })
)

test('STO-15: damage to the small files never makes another node of it', LIMIT, (t) =>
  check(t, {
    kinds: ['flip', 'zeros', 'cut', 'removal'],
    files: ['node.json', 'node.key', 'api.token', 'lock.db', 'log/lock.mdb'],
    mayBe: ['refused']
  })
)

async function check(t: Assert, { kinds, files, mayBe }: Plan): Promise<void> {
  const random = seeded(t)
  const bench = new DamageBench()
  t.teardown(() => bench.close(), { force: true })
  const counts = new Map<string, number>()
  let failure: string | null = null
  for (let count = 0; count < COUNT; count++) {
    const kind = kinds[randomBelow(random, kinds.length)] ?? 'flip'
    const file = files[randomBelow(random, files.length)] ?? 'log/data.mdb'
    const damage = drawDamage(kind, file, random)
    const opened = await bench.open(damage)
    const what = opened.kind === 'refused' ? opened.code : opened.kind
    counts.set(what, (counts.get(what) ?? 0) + 1)
    if (opened.kind === 'kept' || mayBe.includes(opened.kind)) continue
    tally({ wrong: 1 })
    failure ??= `${damageText(damage)}: ${JSON.stringify(opened)}`
  }
  tally({ flips: COUNT })
  t.comment([...counts].map(([what, count]) => `${count} ${what}`).join(', '))
  t.is(failure, null, 'what is served is right, or nothing is')
}
