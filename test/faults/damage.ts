// Damage to a file, as disks do it: a bit that changed, a sector or a whole range that reads as zeros, an end
// that is missing, a name that is gone.

import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../../lib/random.ts'
import { randomBelow } from '../../lib/random.ts'

export interface Damage {
  readonly kind: 'flip' | 'zeros' | 'erased' | 'cut' | 'removal'
  /** below the data directory */
  readonly file: string
  /** where, as a share of the file's length */
  readonly at: number
  /** of the byte; of an erased range, how large: 4 KiB, twice as much for each */
  readonly bit: number
}

const SECTOR_BYTES = 512
const ERASED_BYTES = 4_096
const SCALE = 1_000_000

export function drawDamage(kind: Damage['kind'], file: string, random: Random): Damage {
  return { kind, file, at: randomBelow(random, SCALE) / SCALE, bit: randomBelow(random, 8) }
}

export function damageFile(dataDir: string, { kind, file, at, bit }: Damage): void {
  const path = join(dataDir, file)
  if (kind === 'removal') {
    rmSync(path)
    return
  }
  const bytes = readFileSync(path)
  const offset = Math.floor(at * bytes.byteLength)
  if (kind === 'cut') {
    truncateSync(path, offset)
    return
  }
  const sector = offset - (offset % SECTOR_BYTES)
  if (kind === 'zeros') bytes.subarray(sector, sector + SECTOR_BYTES).fill(0)
  else if (kind === 'erased') bytes.subarray(sector, sector + (ERASED_BYTES << bit)).fill(0)
  else bytes[offset] = (bytes[offset] ?? 0) ^ (1 << bit)
  writeFileSync(path, bytes)
}

export function damageText({ kind, file, at, bit }: Damage): string {
  return `${kind} in ${file} at ${at}${kind === 'flip' || kind === 'erased' ? `, bit ${bit}` : ''}`
}
