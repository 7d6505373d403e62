// How a cluster begins, and begins again after an interruption at any moment.

import test from 'brittle'
import { hexOf } from '../../lib/encoding.ts'
import { DEFAULT_REQUEST_TIMEOUT_MS } from '../../lib/limits.ts'
import type { MemoryLogStore } from '../../lib/log-store/memory-log-store.ts'
import { ENTRY_KIND } from '../../lib/raft/entry.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import type { Founding } from './founder.ts'
import { Founder, FOUNDER_NAME } from './founder.ts'

const LONG_MS = 60_000

function entriesOf(log: MemoryLogStore): readonly Entry[] {
  const { index } = log.last
  return index === 0 ? [] : log.entries(1, index + 1, 1 << 20)
}

/** Entries that somebody asked for: neither configurations nor the empty one of a term. */
function commandCount(log: MemoryLogStore): number {
  const isCommand = (entry: Entry): boolean =>
    entry.kind !== ENTRY_KIND.configuration && entry.payload.byteLength > 0
  return entriesOf(log).filter(isCommand).length
}

async function close(founder: Founder, founding: Founding): Promise<void> {
  await founder.time.settled(founding.assembly.close(), LONG_MS)
}

test('the first entry is durable before anything is made from it, and is written once', async (t) => {
  const founder = new Founder()
  const opened = founder.openLog()
  let isDone = false
  const founded = founder.foundLog(opened).then((restored) => {
    isDone = true
    return restored
  })
  await founder.time.run(0)
  t.absent(isDone, 'not before the disk has it')
  const restored = await founder.time.settled(founded, LONG_MS)
  const member = {
    id: 1,
    publicKey: founder.keyPair.publicKey,
    role: 'voter',
    addresses: [{ host: '10.0.0.1', port: 49_737 }]
  }
  const configuration = { members: [member], outgoing: [] }
  t.alike(restored, {
    hardState: { term: 1, votedFor: 1, commitIndex: 1 },
    configurations: [{ index: 1, configuration }]
  })

  const again = founder.openLog()
  t.alike(await founder.foundLog(again), restored, 'what is there, without a write to wait for')
  t.is(again.store.last.index, 1)
  t.is(founder.time.pendingCount, 0)
})

test('a crash before the first entry is durable leaves an empty log, which is begun anew', async (t) => {
  const founder = new Founder()
  const opened = founder.openLog()
  void founder.foundLog(opened) // never settles: the process dies
  await founder.time.run(1)
  opened.store.crash()
  const again = founder.openLog()
  t.is(again.store.last.index, 0)
  await founder.time.settled(founder.foundLog(again), LONG_MS)
  t.is(again.store.last.index, 1)
})

test('it leads, has the first epoch and its own name; asking again changes nothing', async (t) => {
  const founder = new Founder()
  const founding = await founder.time.settled(founder.begin(), LONG_MS)
  const { assembly, log } = founding
  t.is(assembly.epoch, 0)
  t.is(await founder.time.settled(founding.end, LONG_MS), null)
  t.ok(assembly.isLeading())
  t.is(assembly.epoch, 1)
  const [self, ...others] = assembly.service.members().members
  t.alike(others, [])
  t.alike(
    [self?.id, self?.name, self?.key, self?.role],
    [1, FOUNDER_NAME, hexOf(founder.keyPair.publicKey), 'voter']
  )
  t.is(commandCount(log), 1)
  t.is(await founder.time.settled(founder.await(assembly), LONG_MS), null)
  t.is(commandCount(log), 1)
  await close(founder, founding)
})

test('interrupted at any moment and begun again, the cluster is founded once', async (t) => {
  const stages = new Set<string>()
  let isOver = false
  for (let afterMs = 0; !isOver; afterMs++) {
    const founder = new Founder()
    const first = await founder.time.settled(founder.begin(), LONG_MS)
    await founder.time.run(afterMs)
    isOver = first.isOver
    first.log.crash()
    await close(founder, first)
    const second = await founder.time.settled(founder.begin(), LONG_MS)
    stages.add(`${second.log.last.index} entries`)
    const error = await founder.time.settled(second.end, LONG_MS)
    const count = commandCount(second.log)
    if (error !== null || second.assembly.epoch !== 1 || count !== 1) {
      t.fail(`after ${afterMs} ms: ${error?.message}, ${count} commands`)
    }
    await close(founder, second)
  }
  t.alike([...stages], ['1 entries', '2 entries', '3 entries'], 'each step was interrupted')
})

test('a node that cannot lead says so at its deadline, one that has failed at once', async (t) => {
  const silent = new Founder()
  const log = silent.openLog()
  await silent.time.settled(silent.foundLog(log), LONG_MS)
  await silent.time.settled(log.store.close(), LONG_MS)
  silent.isDiskAlive = false
  const founding = await silent.time.settled(silent.begin(), LONG_MS)
  const beganMs = silent.time.nowMs()
  const late = await silent.time.settled(founding.end, LONG_MS)
  t.is(late?.code, 'START_FAILED')
  const tookMs = silent.time.nowMs() - beganMs
  t.ok(
    tookMs >= DEFAULT_REQUEST_TIMEOUT_MS && tookMs < DEFAULT_REQUEST_TIMEOUT_MS + 10,
    `${tookMs}`
  )

  const failing = new Founder()
  const failed = await failing.time.settled(failing.begin(), LONG_MS)
  failed.assembly.fail()
  const startedMs = failing.time.nowMs()
  t.is((await failing.time.settled(failed.end, LONG_MS))?.code, 'START_FAILED')
  t.ok(failing.time.nowMs() - startedMs <= 1)
})
