// A checkpoint that is asked for, on a real database: true numbers, once per question; and the log level.

import test from 'brittle'
import { statSync } from 'node:fs'
import { asAspenError } from '../../lib/errors.ts'
import { administrationOf } from '../../lib/node/administration.ts'
import { createLogger } from '../../lib/node/log.ts'
import type { CheckpointAnswer } from '../../lib/service/cluster-documents.ts'
import { LogMaker, applied, databaseIn, openSqlite, put } from '../state-machine/samples.ts'

const PAGE_BYTES = 4_096
const FRAME_BYTES = PAGE_BYTES + 24
const LOGGER = createLogger({ level: 'silent', destination: 'ndjson' })

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: unknown) => asAspenError(error).code
  )
}

test('a checkpoint says how many pages it copied and how long the log is', async (t) => {
  const directory = await t.tmp()
  const machine = openSqlite(directory)
  t.teardown(() => machine.close())
  const admin = administrationOf(LOGGER, machine)
  const log = new LogMaker()
  for (let at = 0; at < 50; at++) {
    await applied(machine, [log.write(put(`key-${at}`, 'x'.repeat(20_000)))])
  }
  const first = await admin.checkpoint()
  t.is(first.status, 'success')
  t.ok(first.pages_checkpointed > 50 * 4, `${first.pages_checkpointed} pages of 1 MB`)
  t.is(first.wal_pending_before_bytes, first.pages_checkpointed * FRAME_BYTES)
  t.is(first.wal_pending_after_bytes, 0)
  t.is(statSync(`${databaseIn(directory)}-wal`).size, first.wal_size_before_bytes + 32)
  t.ok(statSync(databaseIn(directory)).size >= 50 * 20_000, 'the database has it')
  const second = await admin.checkpoint()
  t.is(second.pages_checkpointed, 0, 'nothing was left to copy')
  t.is(machine.durableAppliedIndex, machine.applied().index)
})

test('what is asked while a checkpoint runs is answered by the next one', async (t) => {
  const machine = openSqlite(await t.tmp())
  t.teardown(() => machine.close())
  const admin = administrationOf(LOGGER, machine)
  const log = new LogMaker()
  await applied(machine, [log.write(put('a', 'x'.repeat(100_000)))])
  const first = admin.checkpoint()
  await applied(machine, [log.write(put('b', 'x'.repeat(100_000)))])
  const rest = [admin.checkpoint(), admin.checkpoint()]
  await first
  const [second, third]: CheckpointAnswer[] = await Promise.all(rest)
  t.alike(second, third, 'one for both')
  t.is(second?.wal_pending_after_bytes, 0)
  t.is(machine.durableAppliedIndex, machine.applied().index, 'what was written meanwhile too')
})

test('a checkpoint of a closed database, or of none, is refused', async (t) => {
  const machine = openSqlite(await t.tmp())
  const admin = administrationOf(LOGGER, machine)
  await applied(machine, [new LogMaker().write(put('a', '1'))])
  const late = codeOf(admin.checkpoint())
  await machine.close()
  t.ok(['no error', 'UNAVAILABLE'].includes(await late), 'it ends')
  t.is(await codeOf(admin.checkpoint()), 'UNAVAILABLE')
  t.is(await codeOf(administrationOf(LOGGER, null).checkpoint()), 'INVALID_REQUEST')
})

test('the log level changes at once', (t) => {
  const lines: string[] = []
  const write = (line: string): void => void lines.push(line)
  const logger = createLogger({ level: 'warn', destination: 'ndjson', write })
  const admin = administrationOf(logger, null)
  logger.info('unheard')
  t.alike(admin.setLogLevel('debug'), { level: 'debug', previous: 'warn' })
  logger.debug('heard')
  t.alike(admin.setLogLevel('debug'), { level: 'debug', previous: 'debug' })
  t.alike(admin.setLogLevel('silent'), { level: 'silent', previous: 'debug' })
  logger.fatal('unheard')
  t.alike(
    lines.map((line) => JSON.parse(line).msg),
    ['the log level is debug now', 'heard', 'the log level is silent now']
  )
  t.ok(lines[0]?.match(/"level":/g)?.length === 1 && lines[0].includes('"level":"info"'), lines[0])
})
