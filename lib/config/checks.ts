// Settings that contradict each other, each allowed by itself. The refusal names both, with where each of
// them was given.

import { ConfigError } from '../errors.ts'
import { TIMING } from '../raft/timing.ts'
import type { Timing } from '../raft/timing.ts'
import { givenIn, placeOf, rankOf } from './layers.ts'
import type { Layer, Origin } from './layers.ts'
import { DEFAULT_TIMING } from './schema.ts'
import type { ConfigKey } from './schema.ts'

/** A sane cluster elects a leader within these; the seed warns outside of them. */
const SHORTEST_ELECTION_MS = 1_000
const LONGEST_ELECTION_MS = 10_000

/**
 * `known` is what counts, with what is recorded; `given` what was given now, which alone is warned of.
 * @returns warnings, for people
 * @throws ConfigError CONFIG_INVALID
 */
export function checkConfig(given: Layer, known: Layer): readonly string[] {
  checkHttp(known)
  checkTiming(known)
  return timingWarnings(given, known)
}

/** Heartbeats and elections as they count: the profile, and what is said in its place. */
export function timingOf(layer: Layer): Timing {
  const timing = TIMING[givenIn(layer, 'timing') ?? DEFAULT_TIMING]
  return {
    ...timing,
    heartbeatMs: givenIn(layer, 'heartbeat_interval_ms') ?? timing.heartbeatMs,
    electionMinMs: givenIn(layer, 'election_timeout_min_ms') ?? timing.electionMinMs,
    electionMaxMs: givenIn(layer, 'election_timeout_max_ms') ?? timing.electionMaxMs
  }
}

function checkTiming(known: Layer): void {
  const { heartbeatMs, electionMinMs, electionMaxMs } = timingOf(known)
  if (electionMaxMs <= electionMinMs) {
    throw contradiction(known, {
      first: ['election_timeout_max_ms', electionMaxMs],
      relation: 'must be more than',
      second: ['election_timeout_min_ms', electionMinMs],
      hint: 'set both, the second about half of the first'
    })
  }
  if (heartbeatMs >= electionMinMs) {
    throw contradiction(known, {
      first: ['heartbeat_interval_ms', heartbeatMs],
      relation: 'must be less than',
      second: ['election_timeout_min_ms', electionMinMs],
      hint: 'about a tenth of it, so that a lost heartbeat is no election'
    })
  }
}

interface Contradiction {
  readonly first: readonly [ConfigKey, number]
  readonly relation: string
  readonly second: readonly [ConfigKey, number]
  readonly hint: string
}

function contradiction(known: Layer, found: Contradiction): ConfigError {
  const told = ([key, value]: readonly [ConfigKey, number]): string => {
    const origin = known[key]?.origin
    const profile = givenIn(known, 'timing') ?? DEFAULT_TIMING
    return `${key} (${value}, ${origin === undefined ? `of timing = ${profile}` : originText(origin)})`
  }
  return new ConfigError({
    code: 'CONFIG_INVALID',
    message: `${told(found.first)} ${found.relation} ${told(found.second)}`,
    hint: found.hint,
    fields: { key: found.first[0], other: found.second[0] }
  })
}

function originText({ layer, where }: Origin): string {
  if (layer === 'recorded') return 'recorded'
  return layer === 'environment' ? `the environment variable ${where}` : where
}

function timingWarnings(given: Layer, known: Layer): readonly string[] {
  const { heartbeatMs, electionMinMs, electionMaxMs } = timingOf(known)
  const isGiven = (key: ConfigKey): boolean => given[key] !== undefined
  const warnings: string[] = []
  if (isGiven('election_timeout_min_ms') && electionMinMs < SHORTEST_ELECTION_MS) {
    warnings.push(
      `election_timeout_min_ms is ${electionMinMs}: below ${SHORTEST_ELECTION_MS}, a busy machine is taken for a lost one`
    )
  }
  if (isGiven('election_timeout_max_ms') && electionMaxMs > LONGEST_ELECTION_MS) {
    warnings.push(
      `election_timeout_max_ms is ${electionMaxMs}: so long may nobody write after a leader is lost`
    )
  }
  const isOneGiven = isGiven('heartbeat_interval_ms') || isGiven('election_timeout_min_ms')
  if (isOneGiven && heartbeatMs * HEARTBEATS_PER_ELECTION > electionMinMs) {
    warnings.push(
      `heartbeat_interval_ms is ${heartbeatMs}: fewer than ${HEARTBEATS_PER_ELECTION} heartbeats fit election_timeout_min_ms (${electionMinMs})`
    )
  }
  return warnings
}

const HEARTBEATS_PER_ELECTION = 4

/** The two names of a port agree, and nobody opens the API to a network without saying so. */
function checkHttp(known: Layer): void {
  const { http_addr: address, http_port: port } = known
  if (address === undefined) return
  const { host, port: addressPort } = httpAddressOf(address.value)
  if (
    port !== undefined &&
    port.origin.layer === address.origin.layer &&
    port.value !== addressPort
  ) {
    throw new ConfigError({
      code: 'CONFIG_INVALID',
      message: `${placeOf('http_port', port.origin)} (${port.value}) and ${placeOf('http_addr', address.origin)} (${address.value}) name two ports`,
      hint: 'one of the two is enough',
      fields: { key: 'http_port', other: 'http_addr' }
    })
  }
  if (isLoopbackHost(host) || givenIn(known, 'http_public') === true) return
  throw new ConfigError({
    code: 'CONFIG_INVALID',
    message: `${placeOf('http_addr', address.origin)} is ${address.value}, which other machines reach, and http_public is not set`,
    hint: 'the API is not encrypted: on a network that you trust, set http_public = true or --http-public',
    fields: { key: 'http_addr', other: 'http_public' }
  })
}

/** Where the HTTP API listens; null where no layer says. The higher of the two keys says the port. */
export function httpOf(layer: Layer): {
  readonly host: string | null
  readonly port: number | null
} {
  const { http_addr: address, http_port: port } = layer
  if (address === undefined) return { host: null, port: port?.value ?? null }
  const named = httpAddressOf(address.value)
  if (port === undefined || rankOf(port) < rankOf(address)) return named
  return { host: named.host, port: port.value }
}

/** Of an `http_addr`. */
export function httpAddressOf(text: string): { readonly host: string; readonly port: number } {
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) }
}

export function isLoopbackHost(host: string): boolean {
  return host.startsWith('127.')
}
