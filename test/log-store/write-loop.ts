// A program for lmdb-log-store.test.ts: opens the log in the folder of its first argument and writes
// without end, several writes at a time, printing the index of each entry once it is durable. With
// `compact` as second argument it removes what lies behind. When a write fails it prints what it was told
// and ends.

import { writeSync } from 'node:fs'
import { LmdbLogStore } from '../../lib/log-store/lmdb-log-store.ts'
import { present } from '../../lib/assert.ts'
import { systemRandom } from '../../lib/random.ts'
import { entriesAfter, GENESIS, NOTHING } from './log-samples.ts'
import type { EntryId } from '../../lib/raft/entry.ts'

const directory = present(process.argv[2], 'the directory')
/** with `compact` as second argument it removes what lies behind */
const isCompacting = process.argv[3] === 'compact'
let failureCount = 0
let next: EntryId

const { store } = await LmdbLogStore.open({
  directory,
  genesis: GENESIS,
  random: systemRandom,
  onFailed(error) {
    failureCount++
    say(`failed ${error.code}`)
    store.write(NOTHING, () => say('called after the failure'))
    setTimeout(() => {
      say(`failures ${failureCount}`)
      process.exit(error.detail.code === 'NO_SPACE' ? 75 : 74)
    }, 50)
  }
})
say(`open ${store.boot} ${store.last.index}`)
next = store.last
for (let i = 0; i < 4; i++) writeNext()

function writeNext(): void {
  const shape = { count: 1 + (next.index % 3), term: 1, payloadBytes: 200 + (next.index % 5) * 300 }
  const entries = entriesAfter(next, shape)
  next = present(entries.at(-1), 'an entry')
  const { index } = next
  const hardState = { term: 1, votedFor: null, commitIndex: entries[0]?.index ?? 0 }
  store.write({ ...NOTHING, entries, hardState: index % 2 === 0 ? hardState : null }, () => {
    say(`durable ${index}`)
    // behind what the test looks at; also while others are being removed
    if (isCompacting && index % 5 === 0) store.compact(Math.max(0, index - 40), () => {})
    writeNext()
  })
}

function say(line: string): void {
  writeSync(1, `${line}\n`)
}
