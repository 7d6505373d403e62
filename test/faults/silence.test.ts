// STO-10, STO-26: after a sync of its log has failed a node is silent. Seen on the wire: strace records all
// that it sends, and makes one sync fail while it leads. When it has noticed, it acknowledges nothing more on
// the sockets of its API, and nothing new goes out on its streams to the others, though they go on asking.

import { join } from 'node:path'
import test from 'brittle'
import { EXIT } from '../../lib/errors.ts'
import { randomBelow } from '../../lib/random.ts'
import { Lab } from '../e2e/lab.ts'
import { isSkipped } from '../skip.ts'
import { killNodes, progress, startNode } from './members.ts'
import { IS_FULL, seeded } from './seed.ts'
import { SMALL_STORAGE_FLAGS } from './small-storage.ts'
import { tally } from './tally.ts'
import { TestNode } from './test-node.ts'
import { underLoad } from './under-load.ts'
import { SENDING, sentIn } from './wire.ts'

const NAMES = ['alder', 'birch', 'cedar'] as const
const LIMIT = { timeout: IS_FULL ? 3_500_000 : 590_000 }
const ROUND_COUNT = IS_FULL ? 30 : 1
/** Syncs of one thread before the one that fails: enough for it to lead and to be used. */
const SYNC_COUNT = 60

test('STO-10, STO-26: a node whose disk has failed sends nothing more', LIMIT, async (t) => {
  if (isSkipped(t, 'strace')) return
  const random = seeded(t)
  const lab = await Lab.open()
  t.teardown(() => lab.close(), { force: true })
  await lab.cluster(NAMES, ['--timing', 'lan', ...SMALL_STORAGE_FLAGS])
  await lab.voters('alder', 3)
  const plan = { lab, machines: NAMES, random, prefix: 'silent/' }
  await underLoad(t, plan, async (load) => {
    for (let round = 0; round < ROUND_COUNT; round++) {
      const machine = NAMES[randomBelow(random, NAMES.length)] ?? 'alder'
      const recordPath = join(lab.root, `record-${round}`)
      const fault = `inject=fdatasync:error=EIO:when=${SYNC_COUNT + randomBelow(random, SYNC_COUNT)}+`
      const recording = ['-yy', '-xx', '-s', '64', '-e', `trace=${SENDING}`, '-e', fault]
      await killNodes(lab, [machine])
      const node = new TestNode({
        lab,
        machine,
        command: 'start',
        under: ['strace', '-f', '-qq', '--seccomp-bpf', ...recording, '-o', recordPath],
        env: { UV_THREADPOOL_SIZE: '1' }
      })
      await node.ready
      const { code } = await node.ended
      tally({ injectedErrors: 1 })
      t.is(code, EXIT.ioError, 'it ends with the code of its error')
      const sent = await sentIn(recordPath)
      const end = sent.findIndex(({ kind }) => kind === 'end')
      t.ok(end > sent.findIndex(({ kind }) => kind === 'fault') && end > 0, 'it says that it ends')
      const before = sent.slice(0, end)
      const after = sent.slice(end)
      const isDone = (one: (typeof sent)[number]): boolean =>
        one.kind === 'answer' && one.status < 300
      t.ok(before.some(isDone) && before.some(({ kind }) => kind === 'data'), 'it was heard before')
      t.alike(after.filter(isDone), [], 'no answer is a success from then on')
      t.alike(
        after.filter(({ kind }) => kind === 'data'),
        [],
        'nothing new is sent to other members'
      )
      await startNode(lab, machine)
      await progress(load, 20)
    }
  })
})
