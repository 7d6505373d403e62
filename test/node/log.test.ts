// The logger of a node and its lines for people; no ticket gets through.

import test from 'brittle'
import { ConfigError } from '../../lib/errors.ts'
import { renderLogLine } from '../../lib/node/log-line.ts'
import { createLogger } from '../../lib/node/log.ts'
import { encodeTicket } from '../../tickets/tickets.ts'

const ticket = encodeTicket({
  role: 'voter',
  clusterId: new Uint8Array(16),
  secret: new Uint8Array(16).fill(9),
  expiresMs: 1_800_000_000_000,
  memberKeys: [new Uint8Array(32).fill(1)],
  addresses: [],
  bootstrap: []
})

function lines(
  destination: 'ndjson' | 'stderr-pretty',
  log: (logger: ReturnType<typeof createLogger>) => void
): string[] {
  const written: string[] = []
  log(createLogger({ level: 'info', destination, write: (line) => written.push(line) }))
  return written
}

test('a record has the time, the level as a word, and the message', (t) => {
  const [line = ''] = lines('ndjson', (logger) => {
    logger.child({ component: 'replica' }).warn({ term: 7 }, 'a leader was lost')
    logger.debug('not at this level')
  })
  t.ok(line.endsWith('}\n'))
  const { ts, ...rest } = JSON.parse(line)
  t.ok(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(ts), ts)
  t.alike(rest, { level: 'warn', component: 'replica', term: 7, msg: 'a leader was lost' })
})

test('operating errors are code and message; others come with their stack', (t) => {
  const [known = '', defect = ''] = lines('ndjson', (logger) => {
    const cause = new Error('below')
    logger.error({ err: new ConfigError({ code: 'CONFIG_INVALID', message: 'm' }, { cause }) }, 'x')
    logger.error({ err: new TypeError('broken') }, 'y')
  })
  t.alike(JSON.parse(known).err, { code: 'CONFIG_INVALID', msg: 'm', cause: 'below' })
  t.ok(JSON.parse(defect).err.stack.includes('log.test'))
})

test('no ticket reaches the log: in messages, fields, errors, in either form or case', (t) => {
  for (const destination of ['ndjson', 'stderr-pretty'] as const) {
    const written = lines(destination, (logger) => {
      logger.info(`joining with ${ticket}`)
      logger.info({ ticket, deep: { argv: ['join', ticket.toUpperCase()] } }, 'fields')
      logger.error({ err: new Error(`bad ${ticket}`) }, 'error')
    })
    t.is(written.length, 3)
    for (const line of written) {
      t.ok(line.includes('aspen1…'), line)
      t.absent(line.toLowerCase().includes(ticket.slice(6, 40)), line)
    }
  }
})

test('a record becomes one line for people, in local time', (t) => {
  const plain = (line: string) => renderLogLine(line, (_part, text) => text)
  const time = new Date('2026-05-01T12:00:00.007Z')
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':')
  const record = {
    level: 'error',
    ts: time.toISOString(),
    component: 'http',
    msg: 'it\u001b[2J broke',
    err: { code: 'IO_ERROR', msg: 'disk' },
    bytes: 12,
    key: 'a b'
  }
  t.is(
    plain(JSON.stringify(record)),
    `${clock}.007 error http: it\\u001b[2J broke (IO_ERROR: disk) bytes=12 key=a b`
  )
  t.is(plain('{"level":"info"'), '{"level":"info"', 'half a record')
  t.is(plain('    at crash\tx\u0007'), '    at crash x\\u0007')
  t.is(plain('{"level":"info","msg":"no time"}'), '--:--:--.--- info  no time')
})
