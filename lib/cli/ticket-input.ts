// Where a ticket comes from: the argument, stdin, a file, or the environment. Arguments are visible
// to all users of a machine while the process runs; the other three are not.

import { open } from 'node:fs/promises'
import { ConfigError, systemReason } from '../errors.ts'
import type { Given } from '../config/layers.ts'
import { readInput } from './input.ts'
import type { Invocation } from './invocation.ts'

/** Bytes that are read at most: a ticket with plenty of white space around it. */
const MAX_INPUT_BYTES = 4_096

/** The ticket's text, trimmed, not looked at yet; `configured` is the setting `ticket_file`. @throws ConfigError CONFIG_INVALID */
export async function readTicket(
  { args, flags, host }: Invocation,
  configured: Given<string> | null = null
): Promise<string> {
  const argument = args['ticket'] ?? null
  const path = flags.text('ticketFile')
  if (argument !== null && path !== null) {
    throw invalid('the ticket is either an argument or in --ticket-file, not both')
  }
  if (argument === '-') return trimmed(await readInput(host.stdin, MAX_INPUT_BYTES, tooLong))
  if (argument !== null) return argument.trim()
  if (path !== null) return trimmed(await readTicketFile(path))
  if (configured?.origin.layer === 'file') return trimmed(await readTicketFile(configured.value))
  const fromEnv = host.env['ASPEN_TICKET']?.trim()
  if (fromEnv !== undefined && fromEnv !== '') return fromEnv
  if (configured !== null) return trimmed(await readTicketFile(configured.value))
  throw invalid(
    'a ticket is missing',
    "as an argument, from stdin with '-', with --ticket-file, or in ASPEN_TICKET"
  )
}

async function readTicketFile(path: string): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r')
    // reading ends the handle
    return await readInput(file.createReadStream(), MAX_INPUT_BYTES, tooLong)
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw invalid(`the ticket file ${path} cannot be read: ${systemReason(error)}`)
  }
}

function trimmed(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8').trim()
}

function tooLong(): ConfigError {
  return invalid('there is more than a ticket in the input')
}

function invalid(message: string, hint?: string): ConfigError {
  const detail = { code: 'CONFIG_INVALID' as const, message }
  return new ConfigError(hint === undefined ? detail : { ...detail, hint })
}
