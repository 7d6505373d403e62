// The commands about the whole cluster, on real processes: promotion, demotion, leadership, a snapshot and
// removal, asked of nodes that do not lead.

import test from 'brittle'
import { EXIT } from '../../lib/errors.ts'
import { nodeOf, recordOf } from './documents.ts'
import { Lab, waitFor } from './lab.ts'

const LIMIT = { timeout: 240_000 }
const NAMES = ['alder', 'birch', 'cedar', 'dogwood']

const lab = await Lab.open()

test('four machines, of which three vote', LIMIT, async (t) => {
  const [first = '', ...others] = NAMES
  const ticket = await lab.cluster([first])
  for (const name of others) await lab.run(name, ['join', ticket.trim(), '--name', name])
  for (const name of NAMES) await lab.voters(name, 3)
  t.is(await leaderSeenBy('dogwood'), nodeOf(await lab.json('alder', ['status'])).id)
})

test('a promotion waits for its time, or is forced; a demotion takes it back', LIMIT, async (t) => {
  const early = await lab.aspen('birch', ['members', 'promote', 'dogwood'])
  t.is(early.code, EXIT.failed)
  t.ok(early.stderr.includes('Membership was changed recently (wait '), early.stderr)
  const promoted = await lab.json('birch', ['members', 'promote', 'dogwood', '--force'])
  t.alike(promoted['new_voters'], [1, 2, 3, 4])
  const demoted = await lab.json('cedar', ['members', 'demote', 'dogwood'])
  t.alike(demoted['members'], [1, 2, 3])
  const text = await lab.run('cedar', ['members', 'demote', 'dogwood'])
  t.ok(text.includes('3 voters, 1 learner; tolerates 1 failure'), text)
})

test('leadership is handed over from a follower, and said', LIMIT, async (t) => {
  const { leader } = await lab.json('dogwood', ['leader', 'transfer', 'cedar'])
  t.is(leader, 3)
  t.is((await lab.run('dogwood', ['leader', '--quiet'])).trim(), '3')
  const refused = await lab.aspen('birch', ['leader', 'transfer', 'dogwood'])
  t.is(refused.code, EXIT.failed)
  t.ok(refused.stderr.includes('is a learner, and only a voter can lead'), refused.stderr)
})

test('a snapshot by command is made on the follower that was asked', LIMIT, async (t) => {
  await lab.put('birch', 'a', 'b')
  const snapshot = recordOf((await lab.json('birch', ['snapshot']))['snapshot'])
  const storage = recordOf((await lab.json('birch', ['status']))['storage'])
  t.is(recordOf(storage['snapshot'])['index'], snapshot['index'])
  await waitFor('the snapshot of the leader', async () => {
    const seen = (await lab.status('cedar')).storage.snapshot
    return seen?.index === snapshot['index']
  })
})

test(
  'the leader is removed by a follower: it hands over first, and its process ends',
  LIMIT,
  async (t) => {
    await lab.run('alder', ['ticket', 'create'])
    const pid = lab.pid('cedar')
    const removed = await lab.json('birch', ['members', 'remove', 'cedar', '--yes'])
    t.alike(removed['members'], [1, 2], 'who was demoted is no substitute')
    t.is(Array.isArray(removed['revoked_tickets']) && removed['revoked_tickets'].length > 0, true)
    await waitFor('the end of cedar', () => !lab.processes().includes(pid))
    t.is((await lab.aspen('cedar', ['start'])).code, EXIT.denied)
    await lab.put('dogwood', 'after', 'it')
  }
)

test('a node removes itself, and hears that it is done', LIMIT, async (t) => {
  const pid = lab.pid('dogwood')
  const text = await lab.run('dogwood', ['members', 'remove', 'dogwood', '--yes'])
  t.ok(text.includes('node 4 dogwood is removed for good'), text)
  await waitFor('the end of dogwood', () => !lab.processes().includes(pid))
  await lab.put('alder', 'still', 'here')
})

test('a node that waits is added by its key on a follower, and promoted', LIMIT, async (t) => {
  const { key: peer } = recordOf((await lab.json('alder', ['status']))['node'])
  const flags = ['--uninitialized', '--name', 'elm', `--peers=${String(peer)}`]
  const { key } = recordOf((await lab.json('elm', ['start', ...flags]))['node'])
  const text = await lab.run('birch', ['members', 'add', String(key)])
  t.ok(text.includes('node 5 belongs to the cluster, and has caught up'), text)
  t.ok(
    text.includes('2 voters, 1 learner; tolerates 0 failures: with one more it would be 1'),
    text
  )
  const promoted = await lab.run('elm', ['members', 'promote', 'elm', '--force'])
  t.ok(promoted.includes('3 voters; tolerates 1 failure'), promoted)
  await lab.put('elm', 'from', 'elm')
})

test('everything ends', LIMIT, async (t) => {
  await lab.close()
  t.alike(lab.processes(), [])
})

async function leaderSeenBy(machine: string): Promise<unknown> {
  return (await lab.json(machine, ['leader']))['leader']
}
