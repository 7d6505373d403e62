// Damage to the pages of a log's file, thousands of times: flipped bits, zeroed sectors, erased ranges, cuts.
// The next start never dies of it, and never takes another log for this one: the file is made anew from what
// is whole in it, others give back what is not, or the start is refused with a code. What was made whole takes
// writes and holds them.

import test from 'brittle'
import type { Assert } from 'brittle'
import { randomBelow } from '../../lib/random.ts'
import type { Damage } from './damage.ts'
import { damageText, drawDamage } from './damage.ts'
import { DamageBench } from './damage-bench.ts'
import type { Opened } from './damage-bench.ts'
import type { PagesEnd, PagesOrder } from './pages-process.ts'
import { IS_FULL, seeded } from './seed.ts'
import { tally } from './tally.ts'

const LIMIT = { timeout: IS_FULL ? 3_500_000 : 590_000 }
const COUNT = IS_FULL ? 3_000 : 150
const KINDS: readonly Damage['kind'][] = ['flip', 'zeros', 'erased', 'cut']

test('STO-09: a log whose pages are damaged is whole again with the help of others', LIMIT, (t) =>
  check(t, true)
)

test('STO-09: a log whose pages are damaged, alone, is whole again or refused', LIMIT, (t) =>
  check(t, false)
)

async function check(t: Assert, hasOthers: boolean): Promise<void> {
  const random = seeded(t)
  const programs = { maker: 'pages-maker-process.js', worker: 'pages-process.js' }
  const bench = new DamageBench<PagesOrder, PagesEnd>(programs)
  t.teardown(() => bench.close(), { force: true })
  const counts = new Map<string, number>()
  const failures: string[] = []
  for (let count = 0; count < COUNT; count++) {
    const kind = KINDS[randomBelow(random, KINDS.length)] ?? 'flip'
    const damage = drawDamage(kind, 'log/data.mdb', random)
    const end = await bench.open({ damage, hasOthers })
    const what = `${kind} ${end.kind === 'refused' ? end.code : end.kind}`
    counts.set(what, (counts.get(what) ?? 0) + 1)
    const complaint = complaintOf(end, hasOthers)
    if (complaint === null) continue
    tally({ wrong: 1 })
    failures.push(`${damageText(damage)}: ${complaint}`)
  }
  tally({ flips: COUNT })
  for (const [what, count] of counts) t.comment(`${count} ${what}`)
  t.is(failures[0] ?? null, null, `${failures.length} of ${COUNT} ended otherwise`)
}

/** With the help of others only a log is refused whose newest state, or the configuration at its base, is lost. */
function complaintOf(end: Opened<PagesEnd>, hasOthers: boolean): string | null {
  if (end.kind === 'died' || end.kind === 'stuck' || end.kind === 'broken')
    return JSON.stringify(end)
  if (end.kind !== 'refused') return null
  const isLost = /state|configuration|identity|key but no log/.test(end.message)
  const isExplained = hasOthers ? isLost : isLost || /entry \d+/.test(end.message)
  return isExplained ? null : JSON.stringify(end)
}
