// STO-12: a small file system that fills up under load, at once and to the last byte, so that writes
// meet it before anybody has looked how full it is. Whether the node ends with its code or refuses what
// it cannot keep: nothing is lost, and when there is space again it serves.

import test from 'brittle'
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EXIT } from '../../lib/errors.ts'
import { Lab } from '../e2e/lab.ts'
import { isSkipped } from '../skip.ts'
import { Load } from './load.ts'
import { progress, stateHashes } from './members.ts'
import { IS_FULL, seeded } from './seed.ts'
import { TestNode } from './test-node.ts'
import { tally } from './tally.ts'

const LIMIT = { timeout: IS_FULL ? 3_500_000 : 590_000 }
const ROUND_COUNT = IS_FULL ? 100 : 2
const SIZE = '24m'
const FULL_MS = 3_000
const BLOCK_BYTES = 4_096

test(
  'STO-12: a disk that is full loses nothing, and the node serves when it is not',
  LIMIT,
  async (t) => {
    if (isSkipped(t, 'mounts')) return
    const random = seeded(t)
    const lab = await Lab.open()
    const folder = lab.dataDir('alder')
    mkdirSync(folder, { mode: 0o700 })
    const args = ['-t', 'tmpfs', '-o', `size=${SIZE},mode=0700`, 'none', folder]
    t.is(spawnSync('mount', args).status, 0, 'there is a small file system')
    t.teardown(
      async () => {
        for (const pid of lab.processes()) process.kill(pid, 'SIGKILL')
        await lab.settled(0)
        spawnSync('umount', ['-l', folder])
        await lab.close()
      },
      { force: true }
    )
    const load = new Load({
      machines: ['alder'],
      clientOf: (machine) => lab.client(machine),
      random,
      clientsPerMachine: 2,
      prefix: 'full/',
      keyCount: 10,
      pauseMs: 2
    })
    let node = new TestNode({ lab, machine: 'alder', command: 'create', isAlone: true })
    await node.ready
    load.start()
    for (let round = 0; round < ROUND_COUNT; round++) {
      await progress(load, 20)
      const filler = fill(folder)
      tally({ injectedErrors: 1 })
      await sleep(FULL_MS)
      rmSync(filler)
      if (!node.hasEnded) continue
      const { code, signal } = await node.ended
      const isRight = code === EXIT.noSpace || signal === 'SIGABRT'
      t.ok(isRight, `the node ended with ${code ?? signal}`)
      if (!isRight) t.comment(node.log)
      node = new TestNode({ lab, machine: 'alder', command: 'start', isAlone: true })
      t.ok((await node.ready) !== null, 'it starts when there is space again')
    }
    await progress(load, 20)
    await load.stop()
    const { violation, acknowledgedCount } = await load.judge()
    t.is(violation, null, 'nothing is lost or wrong')
    t.is((await stateHashes(lab, ['alder'])).length, 1)
    t.comment(`${acknowledgedCount} acknowledged writes`)
  }
)

/** Takes every byte that is left. @returns the file that has them */
function fill(folder: string): string {
  const path = join(folder, 'filler')
  const file = openSync(path, 'w')
  const block = new Uint8Array(BLOCK_BYTES)
  try {
    for (;;) writeSync(file, block)
  } catch {
    closeSync(file)
    return path
  }
}
