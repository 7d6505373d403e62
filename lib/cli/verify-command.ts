// `aspen verify [FILE]`: whether a backup, a snapshot, or all that a stopped node has is whole. Every fault is
// named; exit code 9 when there is one.

import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { hexOf } from '../encoding.ts'
import {
  asAspenError,
  AspenError,
  ConfigError,
  EXIT,
  ProtocolError,
  StorageError
} from '../errors.ts'
import { DataDirectory, isLocked } from '../node/data-directory.ts'
import type { NodeFault, VerifiedNode } from '../node/verifying.ts'
import { verifyNode } from '../node/verifying.ts'
import { readBackup } from '../state-machine/backup-file.ts'
import type { Fault } from '../state-machine/backup-check.ts'
import { inspectSnapshot } from '../state-machine/inspect.ts'
import type { StreamContent } from '../state-machine/stream-content.ts'
import { backupDocument, backupLines } from './backup-lines.ts'
import { noNodeDetail } from './connect.ts'
import type { Invocation } from './invocation.ts'
import { shortPath, targetOf } from './invocation.ts'
import { checkFile, withProgress } from './restore-command.ts'
import type { Style } from './style.ts'
import { formatSize, plural, printable } from './text.ts'

/** What was found, in its two forms. */
interface Findings {
  readonly faults: readonly (Fault | NodeFault)[]
  readonly lines: (style: Style) => readonly string[]
  readonly document: object
}

export async function verify(invocation: Invocation): Promise<number> {
  const typed = invocation.args['file']
  const findings = await withProgress(invocation, (onProgress) => {
    onProgress({ phase: 'open', text: 'verifying' })
    const onText = (text: string): void => onProgress({ phase: 'open', text })
    return typed === undefined
      ? verifyDirectory(invocation, onText)
      : verifyFile(resolve(typed), onText)
  })
  const { faults } = findings
  invocation.output.result({
    human: (style) => [
      ...findings.lines(style),
      ...faults.flatMap((fault) => faultLines(fault, style)),
      faults.length === 0
        ? `${style.symbol('ok')} whole`
        : `${style.symbol('failure')} ${plural(faults.length, 'fault')}`
    ],
    json: () => ({ ok: faults.length === 0, ...findings.document, faults }),
    quiet: () => (faults.length === 0 ? 'ok' : 'damaged')
  })
  return faults.length === 0 ? EXIT.ok : EXIT.integrity
}

function faultLines(fault: Fault | NodeFault, style: Style): string[] {
  const mark = style.symbol('failure')
  if ('where' in fault) return [`${mark} ${printable(fault.what)}: ${fault.where}`]
  return [`${mark} ${fault.part}: ${printable(fault.what)}`, `  ${style.dim(fault.advice)}`]
}

async function verifyFile(path: string, onText: (text: string) => void): Promise<Findings> {
  checkFile(path)
  try {
    if (beginningOf(path) === 'aspensnp') return snapshotFindings(path)
    return await backupFindings(path, onText)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw asAspenError(error)
    const message = `${shortPath(path)}: ${error.message}`
    throw new StorageError({ code: 'CORRUPTED', message }, { cause: error })
  }
}

function beginningOf(path: string): string {
  const bytes = new Uint8Array(8)
  const file = openSync(path, 'r')
  try {
    return Buffer.from(bytes.subarray(0, readSync(file, bytes))).toString('latin1')
  } finally {
    closeSync(file)
  }
}

async function backupFindings(path: string, onText: (text: string) => void): Promise<Findings> {
  const { header, content, faults } = await readBackup(path, {
    onProgress: (byteCount, total) => {
      onText(`verifying  ${formatSize(byteCount)} of ${formatSize(total)}`)
    }
  })
  return {
    faults,
    lines: (style) => [
      `${style.bold('backup')}  ${shortPath(path)}`,
      ...(header === null ? [] : backupLines(header, style)),
      ...(content === null ? [] : [contentLine(content, style)])
    ],
    document: {
      kind: 'backup',
      file: path,
      ...(header === null ? {} : backupDocument(header)),
      ...(content === null ? {} : { history_rows: content.counts.rows })
    }
  }
}

function contentLine({ counts }: StreamContent, style: Style): string {
  return `  ${style.dim('history'.padEnd(9))}${plural(counts.rows, 'row')}`
}

function snapshotFindings(path: string): Findings {
  const { content, faults } = inspectSnapshot(path)
  const applied = content?.head.applied
  return {
    faults,
    lines: (style) => [
      `${style.bold('snapshot')}  ${shortPath(path)}`,
      ...(applied === undefined
        ? []
        : [`  as of revision ${applied.index}: ${plural(applied.liveCount, 'key')}`])
    ],
    document: {
      kind: 'snapshot',
      file: path,
      ...(applied !== undefined && {
        revision: applied.index,
        term: applied.term,
        keys: applied.liveCount,
        state_hash: hexOf(applied.stateHash)
      })
    }
  }
}

async function verifyDirectory(
  invocation: Invocation,
  onText: (text: string) => void
): Promise<Findings> {
  const target = targetOf(invocation)
  const { dataDir, selector } = target
  if (!existsSync(join(dataDir, 'node.json')) && !existsSync(join(dataDir, 'node.key'))) {
    const detail = noNodeDetail(target, invocation.host.env)
    throw new ConfigError({ code: 'NO_CLUSTER_HERE', ...detail })
  }
  if (isLocked(dataDir)) {
    throw new AspenError({
      code: 'LOCKED',
      message: `the node in ${shortPath(dataDir)} runs, and what it has changes while it is read`,
      hint: `'aspen stop${selector}' first`
    })
  }
  const directory = DataDirectory.open(dataDir)
  try {
    const verified = await verifyNode(
      directory,
      () => performance.now(),
      (part) => onText(`verifying ${part}`)
    )
    return nodeFindings(dataDir, verified)
  } finally {
    directory.close()
  }
}

function nodeFindings(dataDir: string, verified: VerifiedNode): Findings {
  const { membership, log, applied, snapshots, faults } = verified
  return {
    faults,
    lines: (style) => [
      `${style.bold('node')}  ${shortPath(dataDir)}`,
      ...(membership === null
        ? []
        : [
            `  ${style.dim('cluster'.padEnd(11))}${hexOf(membership.clusterId)}, node ${membership.id}`
          ]),
      ...(log === null ? [] : [`  ${style.dim('log'.padEnd(11))}${logText(log)}`]),
      ...(applied === null
        ? []
        : [
            `  ${style.dim('state'.padEnd(11))}applied ${applied.index}, ${plural(applied.liveCount, 'key')}`
          ]),
      `  ${style.dim('snapshots'.padEnd(11))}${snapshotText(snapshots.map(({ content }) => content))}`
    ],
    document: {
      kind: 'node',
      data_dir: dataDir,
      node_id: membership?.id ?? null,
      cluster: membership === null ? null : { id: hexOf(membership.clusterId) },
      log: log === null ? null : logDocument(log),
      state:
        applied === null
          ? null
          : {
              applied_index: applied.index,
              keys: applied.liveCount,
              state_hash: hexOf(applied.stateHash)
            },
      snapshots: snapshots.map(({ name, content }) => ({
        name,
        ok: content !== null,
        revision: content?.head.applied.index ?? null
      }))
    }
  }
}

type Report = NonNullable<VerifiedNode['log']>

function logText(report: Report): string {
  const { checksPassed, lastLogIndex, lastSnapshotIndex, voteTerm, committedIndex } = report
  const from = lastSnapshotIndex === null ? '' : `, begins after ${lastSnapshotIndex}`
  return `last ${lastLogIndex}${from}, committed ${committedIndex}, term ${voteTerm}; ${checksPassed} checks passed`
}

function logDocument(report: Report): object {
  return {
    checks_passed: report.checksPassed,
    last_log_index: report.lastLogIndex,
    last_snapshot_index: report.lastSnapshotIndex,
    vote_term: report.voteTerm,
    committed_index: report.committedIndex,
    validation_duration_ms: Math.round(report.validationDurationMs)
  }
}

function snapshotText(contents: readonly (StreamContent | null)[]): string {
  if (contents.length === 0) return 'none'
  return contents
    .map((content) => (content === null ? 'damaged' : `at ${content.head.applied.index}`))
    .join(', ')
}
