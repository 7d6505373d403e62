// MEM-03 with real processes: voters that are removed while they run and while they are down.

import test from 'brittle'
import { setTimeout as sleep } from 'node:timers/promises'
import { EXIT } from '../../lib/errors.ts'
import { ask, socketOf } from './http.ts'
import { Lab } from './lab.ts'

const LIMIT_MS = 120_000
/** Within this a node that was removed has ended. */
const END_MS = 20_000

async function remove(lab: Lab, on: string, id: number): Promise<number> {
  const body = { id }
  const { status } = await ask(socketOf(lab, on), { path: '/cluster/remove-member', body })
  return status
}

test(
  'MEM-03 a removed member ends with 7 and says why, running or when it returns; its folder never starts again',
  { timeout: LIMIT_MS },
  async (t) => {
    const lab = await Lab.open()
    t.teardown(() => lab.close(), { force: true })
    const ticket = await lab.cluster(['alder', 'birch', 'cedar', 'dogwood'], ['--timing', 'lan'])
    await lab.voters('alder', 3)
    const idOf = async (name: string): Promise<number> => (await lab.status(name)).node.id
    const [cedar, dogwood] = [await idOf('cedar'), await idOf('dogwood')]

    await lab.kill('dogwood')
    t.is(await remove(lab, 'birch', dogwood), 200, 'asked of any member')
    const back = lab.aspen('dogwood', ['start', '--foreground'])
    const returned = await Promise.race([back, sleep(END_MS, null)])
    t.is(returned?.code, EXIT.denied, returned?.stderr)
    t.ok(/was removed from its cluster/.test(returned?.stderr ?? ''), returned?.stderr)

    t.is(await remove(lab, 'cedar', cedar), 200, 'also by itself')
    for (const name of ['cedar', 'dogwood']) {
      const again = await started(lab, name)
      t.is(again.code, EXIT.denied, `${name}: ${again.stderr}`)
      t.ok(/was removed from its cluster/.test(again.stderr), again.stderr)
      t.ok(/join again as a new node/.test(again.stderr), 'and what to do')
    }
    const late = await lab.aspen('elder', ['join', ticket, '--name', 'elder', '--foreground'])
    t.is(late.code, EXIT.denied, 'tickets from before the removal are closed')
    t.ok(/revoked/.test(late.stderr), late.stderr)
    await lab.put('alder', 'after', 'v')
    t.is((await lab.run('birch', ['kv', 'get', 'after'])).trim(), 'v')
  }
)

/** The node may still be ending: until then its folder is locked. */
async function started(lab: Lab, name: string): ReturnType<Lab['aspen']> {
  for (;;) {
    const outcome = await lab.aspen(name, ['start', '--foreground'])
    if (outcome.code !== EXIT.locked) return outcome
    await sleep(200)
  }
}
