// `aspen backup FILE`: takes a backup from the running node, verifies it on its way, and gives the file its name
// when all of it is on the disk: under that name there is a whole backup or none.

import { existsSync, statSync } from 'node:fs'
import * as paths from 'node:path'
import { present } from '../assert.ts'
import type { Client, Downloaded } from '../client/client.ts'
import { AspenError, ConfigError, EXIT, StorageError } from '../errors.ts'
import { BackupCheck } from '../state-machine/backup-check.ts'
import type { BackupHeader } from '../state-machine/backup-encoding.ts'
import { exists, fileSink } from './backup-file.ts'
import type { Sink } from './backup-file.ts'
import { backupDocument, backupLines } from './backup-lines.ts'
import { withNode } from './connect.ts'
import type { Host, Invocation } from './invocation.ts'
import { requestTimeoutMs, shortPath } from './invocation.ts'
import { StopSignals } from './signals.ts'
import type { OutputStream } from './style.ts'
import { formatSize } from './text.ts'

export async function backup(invocation: Invocation): Promise<number> {
  const { args, flags, host, output } = invocation
  const typed = present(args['file'], 'file')
  const timeoutMs = requestTimeoutMs(invocation)
  const consistency = flags.isSet('stale') ? 'stale' : 'linearizable'
  const isForced = flags.isSet('force')
  if (typed === '-' && output.isJson) throw jsonNeedsFile()
  const path = paths.resolve(typed)
  if (typed !== '-') checkTarget(path, isForced)
  const progress = { byteCount: 0, total: 0 }
  const header = await withNode(
    invocation,
    async (node: Client) => {
      const downloaded = await node.backup({ consistency, timeoutMs }).catch((error: unknown) => {
        throw consistency === 'stale' ? error : withStale(error)
      })
      progress.total = downloaded.byteCount
      const sink = typed === '-' ? stdoutSink(host) : await fileSink(path, isForced)
      return take(downloaded, sink, (byteCount) => (progress.byteCount += byteCount))
    },
    () => progressText(progress)
  )
  if (typed === '-') {
    for (const line of backupLines(header, output.errorStyle)) output.note(line)
    return EXIT.ok
  }
  const size = progress.byteCount
  output.result({
    human: (style) => [
      `${style.symbol('ok')} backup  ${style.bold(shortPath(path))}  ${formatSize(size)}, verified`,
      ...backupLines(header, style)
    ],
    json: () => ({ file: path, size, consistency, ...backupDocument(header) }),
    quiet: () => path
  })
  return EXIT.ok
}

/** @throws StorageError CORRUPTED when what came is damaged; AspenError INTERRUPTED */
async function take(
  downloaded: Downloaded,
  sink: Sink,
  onTaken: (byteCount: number) => void
): Promise<BackupHeader> {
  const signals = new StopSignals()
  // also while nothing comes, or nothing is taken
  const interrupted = signals.first.then((): never => {
    throw new AspenError({ code: 'INTERRUPTED', message: 'interrupted' })
  })
  try {
    const header = await Promise.race([takeAll(downloaded, sink, onTaken), interrupted])
    await sink.finish()
    return header
  } catch (error) {
    downloaded.cancel()
    await sink.discard()
    throw error
  } finally {
    signals.close()
  }
}

async function takeAll(
  { pieces, byteCount }: Downloaded,
  sink: Sink,
  onTaken: (byteCount: number) => void
): Promise<BackupHeader> {
  const check = new BackupCheck()
  let taken = 0
  for await (const piece of pieces) {
    check.push(piece)
    await sink.write(piece)
    taken += piece.byteLength
    onTaken(piece.byteLength)
  }
  const { header, faults } = check.end()
  const [fault] = faults
  if (fault !== undefined || header === null || taken !== byteCount)
    throw damaged(fault?.what ?? 'it ends too early')
  return header
}

/** Without quorum there is another way. */
function withStale(error: unknown): unknown {
  if (!(error instanceof AspenError) || error.code !== 'UNAVAILABLE') return error
  const { hint, fields } = error.detail
  if (hint === undefined || fields?.['is_unanswered'] === true) return error
  const detail = { ...error.detail, hint: `${hint}; with --stale this node gives what it has` }
  return new AspenError(detail, { cause: error })
}

function progressText({ byteCount, total }: { byteCount: number; total: number }): string {
  if (total === 0) return 'the node writes its state down'
  return `taking the backup  ${formatSize(byteCount)} of ${formatSize(total)}`
}

function stdoutSink({ stdout, stdoutLost }: Host): Sink {
  let isLost = false
  void stdoutLost.then(() => (isLost = true))
  return {
    async write(piece) {
      if (stdout.write(piece) === false) {
        await Promise.race([stdoutLost, drained(stdout)])
      }
      if (isLost) throw new StorageError({ code: 'IO_ERROR', message: 'nobody takes the output' })
    },
    finish: async () => {},
    discard: async () => {}
  }
}

/** Resolves when it takes more. */
function drained(stdout: OutputStream): Promise<void> {
  return new Promise((resolve) => {
    if (stdout.once === undefined) resolve()
    else stdout.once('drain', () => resolve())
  })
}

/** @throws ConfigError CONFIG_INVALID */
function checkTarget(path: string, isForced: boolean): void {
  if (!existsSync(path)) return
  if (statSync(path).isDirectory())
    throw new ConfigError({ code: 'CONFIG_INVALID', message: `${shortPath(path)} is a folder` })
  if (!isForced) throw exists(path)
}

function jsonNeedsFile(): ConfigError {
  const message = '--json describes a file; with - the backup itself goes to stdout'
  return new ConfigError({ code: 'CONFIG_INVALID', message })
}

function damaged(what: string): StorageError {
  return new StorageError({
    code: 'CORRUPTED',
    message: `the backup came damaged, and was not kept: ${what}`,
    hint: 'try again, or take it from another node'
  })
}
