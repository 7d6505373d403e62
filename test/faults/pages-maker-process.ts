// Writes a log into the folder `log` below its first argument, to be damaged (pages.test.ts): small and long
// entries, an end that was cut off and written anew, a beginning that is gone, pages that are free.

import { join } from 'node:path'
import { present } from '../../lib/assert.ts'
import { LmdbLogStore } from '../../lib/log-store/lmdb-log-store.ts'
import { systemRandom } from '../../lib/random.ts'
import { configurationAfter, durably, entriesAfter, GENESIS } from '../log-store/log-samples.ts'

const ROUNDS = 80
const CONFIGURATION = {
  members: [{ id: 1, publicKey: new Uint8Array(32).fill(1), role: 'voter', addresses: [] }],
  outgoing: []
} as const

const directory = join(present(process.argv[2], 'the folder'), 'log')
const { store } = await LmdbLogStore.open({
  directory,
  genesis: GENESIS,
  random: systemRandom,
  onFailed(error) {
    throw error
  }
})
await durably(store, { entries: [configurationAfter(GENESIS, CONFIGURATION)] })
for (let round = 1; round <= ROUNDS; round++) {
  const payloadBytes = round % 10 === 0 ? 20_000 : (round * 331) % 3_000
  const entries = entriesAfter(store.last, { count: 1 + (round % 7), term: round, payloadBytes })
  const hardState = { term: round, votedFor: round % 3, commitIndex: store.last.index }
  await durably(store, {
    entries,
    hardState: round % 3 === 0 ? { ...hardState, votedFor: null } : hardState
  })
  if (round % 8 === 0) {
    const { last } = store
    await durably(store, { truncateFrom: last.index, entries: [] })
  }
  if (round % 9 === 0) {
    await new Promise<void>((resolve) => {
      store.compact(store.last.index - 25, resolve)
    })
  }
}
await store.close()
