// Why a peer could not be reached, in words of people. hyperdht (lib/errors.js) and dht-rpc say it with
// a code before an English text.

/** Why, in few words that are counted. */
export const DIAL_FAILURES = [
  'not_found',
  'holepunch_failed',
  'double_random_nat',
  'timeout',
  'other'
] as const
export type DialFailure = (typeof DIAL_FAILURES)[number]

const NO_HOLE = 'no hole could be punched through the NATs between'

const REASONS: Readonly<Record<string, string>> = {
  PEER_CONNECTION_FAILED: 'nobody answered, neither at the known addresses nor over the DHT',
  PEER_NOT_FOUND: 'nobody is announced on the DHT under that key',
  HOLEPUNCH_DOUBLE_RANDOMIZED_NATS:
    'the NATs of both sides change their ports; one side needs an open one',
  HOLEPUNCH_ABORTED: NO_HOLE,
  HOLEPUNCH_PROBE_TIMEOUT: NO_HOLE,
  CANNOT_HOLEPUNCH: NO_HOLE,
  REMOTE_NOT_HOLEPUNCHING: NO_HOLE,
  REMOTE_NOT_HOLEPUNCHABLE: NO_HOLE,
  REMOTE_ABORTED: 'the other side gave up',
  HANDSHAKE_UNFINISHED: 'the other side did not finish the handshake',
  SERVER_INCOMPATIBLE: 'the other side speaks an incompatible version of the DHT',
  REQUEST_TIMEOUT: 'the DHT did not answer',
  ETIMEDOUT: 'no answer in time'
}

const FAILURES: Readonly<Record<string, DialFailure>> = {
  PEER_CONNECTION_FAILED: 'not_found',
  PEER_NOT_FOUND: 'not_found',
  HOLEPUNCH_DOUBLE_RANDOMIZED_NATS: 'double_random_nat',
  HOLEPUNCH_ABORTED: 'holepunch_failed',
  HOLEPUNCH_PROBE_TIMEOUT: 'holepunch_failed',
  CANNOT_HOLEPUNCH: 'holepunch_failed',
  REMOTE_NOT_HOLEPUNCHING: 'holepunch_failed',
  REMOTE_NOT_HOLEPUNCHABLE: 'holepunch_failed',
  REQUEST_TIMEOUT: 'timeout',
  ETIMEDOUT: 'timeout'
}

export function dialFailure(error: Error): DialFailure {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return Object.hasOwn(FAILURES, code) ? (FAILURES[code] ?? 'other') : 'other'
}

/** One clause without a code; the text of the error itself where the code is none of these. */
export function dialReason(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (Object.hasOwn(REASONS, code)) return REASONS[code] ?? error.message
  return error.message.startsWith(`${code}: `)
    ? error.message.slice(code.length + 2)
    : error.message
}
