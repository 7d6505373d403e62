// Under which conditions a number was measured. A bench prints these first and then all results as
// one table, so that a number is never quoted without its machine:
//
//   printConditions(await readConditions(folder))
//   printResults(['what', 'p50 ms', 'p99 ms'], [['put, 3 nodes', '1.42', '3.10']])
//
// A bench is a program `test/bench/<name>.ts`; run it as `node dist/test/bench/<name>.js`.

import { statfs } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os'

/** One line each; the order is the order of printing. */
export interface Conditions {
  readonly cpu: string
  readonly memory: string
  readonly system: string
  readonly node: string
  /** of the folder that was measured in */
  readonly fileSystem: string
  /** average number of runnable processes in the last minute, before the bench */
  readonly load: string
}

/** Names of file systems by the number that statfs(2) gives. */
const FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x0102_1994, 'tmpfs'],
  [0x5846_5342, 'xfs'],
  [0x9123_683e, 'btrfs'],
  [0x794c_7630, 'overlay'],
  [0x2fc1_2fc1, 'zfs'],
  [0x1a, 'apfs']
])

const MEBIBYTE = 1024 * 1024

/** `folder` is where the bench keeps its data: a disk is part of every number about writes. */
export async function readConditions(folder: string): Promise<Conditions> {
  const { type, bsize } = await statfs(folder)
  const name = FILE_SYSTEMS.get(type) ?? `file system 0x${type.toString(16)}`
  return {
    cpu: `${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} usable threads`,
    memory: `${Math.round(totalmem() / MEBIBYTE)} MiB${memoryLimit()}`,
    system: `${platform()} ${release()}`,
    node: process.version,
    fileSystem: `${name}, blocks of ${bsize} bytes`,
    load: (loadavg()[0] ?? 0).toFixed(2)
  }
}

export function printConditions(conditions: Conditions): void {
  printResults(
    ['condition', 'value'],
    Object.entries(conditions).map(([name, value]: [string, string]) => [name, value])
  )
}

/** Prints one Markdown table with columns as wide as their longest cell. */
export function printResults(
  header: readonly string[],
  rows: readonly (readonly string[])[]
): void {
  for (const line of tableLines(header, rows)) console.log(line)
}

/** The value below which the share `quantile` of `samples` lies; nearest rank. */
export function quantileOf(samples: readonly number[], quantile: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  const rank = Math.max(1, Math.ceil(quantile * sorted.length))
  return sorted[rank - 1] ?? Number.NaN
}

export function tableLines(
  header: readonly string[],
  rows: readonly (readonly string[])[]
): string[] {
  const widths = header.map((cell, column) =>
    Math.max(3, cell.length, ...rows.map((row) => row[column]?.length ?? 0))
  )
  const toLine = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`
  return [toLine(header), toLine(widths.map((width) => '-'.repeat(width))), ...rows.map(toLine)]
}

/** The limit of the control group that this process is in, if it is lower than the machine's. */
function memoryLimit(): string {
  try {
    const bytes = Number(readFileSync('/sys/fs/cgroup/memory.max', 'utf8'))
    return Number.isFinite(bytes) ? `, limited to ${Math.round(bytes / MEBIBYTE)} MiB` : ''
  } catch {
    return ''
  }
}
