// A member's own word about itself: said when it is not true any more, one at a time.

import test from 'brittle'
import { descriptionDue, SelfDescription } from '../../lib/cluster/self-description.ts'
import type { OwnDescription } from '../../lib/cluster/self-description.ts'
import { KeyValueStoreError } from '../../lib/errors.ts'
import type { ControlCommand } from '../../lib/state-machine/command.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import { nodeOf } from './fixtures.ts'

const ADDRESSES = [{ host: '10.0.0.1', port: 5 }]
const OWN: OwnDescription = { id: 2, name: 'node2', version: '1.0.0', addresses: ADDRESSES }
const TRUE = nodeOf(2, { addresses: ADDRESSES })

test('it is due when name, version or addresses differ, and never without a record or an address', (t) => {
  const due = { kind: 'describe', ...OWN }
  t.is(descriptionDue(TRUE, OWN), null)
  t.alike(descriptionDue({ ...TRUE, name: 'x' }, OWN), due)
  t.alike(descriptionDue({ ...TRUE, version: '0.9.0' }, OWN), due)
  t.alike(descriptionDue({ ...TRUE, addresses: [] }, OWN), due)
  t.alike(descriptionDue({ ...TRUE, addresses: [{ host: '10.0.0.1', port: 6 }] }, OWN), due)
  t.is(descriptionDue(undefined, OWN), null)
  t.is(descriptionDue({ ...TRUE, name: 'x' }, { ...OWN, addresses: [] }), null)
})

function open() {
  const time = new VirtualTime()
  const said: ControlCommand[] = []
  const world = {
    record: nodeOf(2),
    end: (): Promise<unknown> => Promise.resolve(null)
  }
  const description = new SelfDescription({
    clock: time,
    timers: time,
    record: () => world.record,
    own: () => OWN,
    submit: (command) => {
      said.push(command)
      return world.end()
    }
  })
  description.start()
  return { time, said, world, description }
}

test('what is untrue is corrected soon, and said again only while it stays untrue', async (t) => {
  const { time, said, world } = open()
  await time.run(500)
  t.is(said.length, 1)
  await time.run(5_000)
  t.is(said.length, 2)
  world.record = TRUE
  await time.run(60_000)
  t.is(said.length, 2)
})

test('a correction that fails is tried again; one that hangs is not overtaken', async (t) => {
  const { time, said, world } = open()
  world.end = () => Promise.reject(new KeyValueStoreError({ code: 'UNAVAILABLE', message: '' }))
  await time.run(500)
  await time.run(5_000)
  t.is(said.length, 2)
  world.end = () => new Promise(() => {})
  await time.run(60_000)
  t.is(said.length, 3)
})

test('closed, it says nothing and waits for nothing', async (t) => {
  const { time, said, description } = open()
  description.close()
  await time.run(60_000)
  t.is(said.length, 0)
  t.is(time.pendingCount, 0)
  const other = open()
  let end = (): void => {}
  other.world.end = () =>
    new Promise<void>((resolve) => {
      end = resolve
    })
  await other.time.run(500)
  other.description.close()
  end()
  await other.time.run(60_000)
  t.is(other.said.length, 1)
  t.is(other.time.pendingCount, 0)
})
