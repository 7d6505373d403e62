// A program that logs far more than a pipe takes, and says over IPC that it goes on: for log-flood.test.ts.

import { createLogger } from '../../lib/node/log.ts'

const LINES = 20_000
const logger = createLogger({ level: 'info', destination: 'ndjson' })
for (let line = 0; line < LINES; line++) {
  logger.info({ event: `test.line${line}`, line }, 'x'.repeat(200))
}
process.send?.('still here')
process.once('message', () => {
  let left = 20
  const timer = setInterval(() => {
    logger.info({ event: 'test.last' }, 'the last line')
    if (--left > 0) return
    clearInterval(timer)
    process.disconnect()
  }, 50)
})
