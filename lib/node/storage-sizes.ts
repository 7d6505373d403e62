// How large the files of a node are, looked at every now and then, so that who asks never waits for a disk.

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Timer, Timers } from '../clock.ts'
import { SIZES_LOOK_MS } from '../health-limits.ts'
import type { StorageSizes } from '../service/node-health.ts'

interface Folders {
  readonly logDir: string
  readonly stateDir: string
  readonly snapshotsDir: string
}

export class StorageLook {
  readonly #folders: Folders
  readonly #timers: Timers
  #sizes: StorageSizes = { logBytes: 0, stateBytes: 0, snapshotBytes: 0, walBytes: null }
  #timer: Timer | null = null
  #isClosed = false

  constructor(folders: Folders, timers: Timers) {
    this.#folders = folders
    this.#timers = timers
  }

  /** As of the last look. */
  get sizes(): StorageSizes {
    return this.#sizes
  }

  /** Resolves after the first look; never rejects. */
  async start(): Promise<void> {
    await this.#look()
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  /** What cannot be looked at, since it is just being replaced, counts as nothing. */
  async #look(): Promise<void> {
    const { logDir, stateDir, snapshotsDir } = this.#folders
    const [log, state, snapshots] = await Promise.all([logDir, stateDir, snapshotsDir].map(sizesIn))
    const wal = [...(state ?? [])].filter(([name]) => name.endsWith('-wal'))
    this.#sizes = {
      logBytes: sumOf(log),
      stateBytes: sumOf(state),
      snapshotBytes: sumOf(snapshots),
      walBytes: wal.length === 0 ? null : sumOf(new Map(wal))
    }
    if (this.#isClosed) return
    this.#timer = this.#timers.start(SIZES_LOOK_MS, () => void this.#look()) // it never rejects
  }
}

/** Bytes of the files of a folder, by name. */
async function sizesIn(folder: string): Promise<ReadonlyMap<string, number>> {
  const names = await readdir(folder).catch(() => [])
  const found = await Promise.all(
    names.map(async (name) => {
      const stats = await stat(join(folder, name)).catch(() => null)
      return [name, stats?.isFile() === true ? stats.size : 0] as const
    })
  )
  return new Map(found)
}

function sumOf(sizes: ReadonlyMap<string, number> | undefined): number {
  return [...(sizes?.values() ?? [])].reduce((sum, size) => sum + size, 0)
}
