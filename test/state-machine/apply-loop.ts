// A process that applies entries to the state machine at argv[2] until it is killed, and says the index of
// each. Each entry puts
// the same keys, so that a half entry would be seen.

import { LogMaker, applied, openSqlite, put } from './samples.ts'

const machine = openSqlite(process.argv[2] ?? '')
const log = new LogMaker()
for (;;) {
  const entry = log.write(
    ...Array.from({ length: 100 }, (_, at) => put(`k${at}`, new Uint8Array(5_000)))
  )
  // what an earlier run has applied already
  if (entry.index <= machine.applied().index) continue
  await applied(machine, [entry])
  console.log(entry.index)
}
