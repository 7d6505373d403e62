// Looks at the disk of the data directory again and again, and says whether it is full. Between two
// looks, what was written since counts as used: a small disk fills faster than anybody looks.
//
// It looks and says; what a full disk means is for others (node/disk-duty.ts, service/write-gate.ts).

import type { Timer, Timers } from '../clock.ts'
import { DISK_BYTES_PER_ENTRY_BYTE, DISK_CHECK_MS, MIN_DISK_BYTES_PER_ENTRY } from '../limits.ts'
import type { DiskUsage, FileSystemStats } from './disk-space.ts'
import { diskUsageOf, isFullAt } from './disk-space.ts'

/** Asks the system; null when it does not say. Calls back once, never synchronously. */
export type DiskProbe = (onStats: (stats: FileSystemStats | null) => void) => void

export interface DiskWatchParts {
  readonly timers: Timers
  readonly probe: DiskProbe
  /** after each look */
  readonly onLook: () => void
}

export interface DiskState extends DiskUsage {
  readonly isFull: boolean
}

export class DiskWatch {
  readonly #parts: DiskWatchParts
  #stats: FileSystemStats | null = null
  /** by what was found, with the gap between the two thresholds; estimates alone come and go */
  #wasFoundFull = false
  /** what may have been written since the last look began, and between that and the one before */
  #sinceBytes = 0
  #beforeBytes = 0
  #timer: Timer | null = null
  #isLooking = false
  #isClosed = false

  constructor(parts: DiskWatchParts) {
    this.#parts = parts
  }

  start(): void {
    this.#look()
  }

  /** As of the last look; null until the first, and where the system does not say. */
  get state(): DiskState | null {
    if (this.#stats === null) return null
    return { ...diskUsageOf(this.#stats), isFull: this.isFull }
  }

  get isFull(): boolean {
    if (this.#stats === null) return false
    return this.#wasFoundFull || isFullAt(this.#estimate(this.#stats), false)
  }

  /** An entry with so many bytes of payload is on its way to the disk. */
  onWritten(payloadBytes: number): void {
    this.#sinceBytes += MIN_DISK_BYTES_PER_ENTRY + payloadBytes * DISK_BYTES_PER_ENTRY_BYTE
    if (this.#stats === null) return
    const { blocks, bsize } = this.#stats
    if (this.#sinceBytes * 100 >= blocks * bsize) this.#look()
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  #look(): void {
    if (this.#isLooking || this.#isClosed) return
    this.#isLooking = true
    this.#timer?.cancel()
    this.#beforeBytes = this.#sinceBytes
    this.#sinceBytes = 0
    this.#parts.probe((stats) => {
      this.#isLooking = false
      if (this.#isClosed) return
      if (stats !== null) {
        this.#stats = stats
        this.#wasFoundFull = isFullAt(diskUsageOf(stats).percent, this.#wasFoundFull)
      }
      this.#timer = this.#parts.timers.start(DISK_CHECK_MS, () => this.#look())
      this.#parts.onLook()
    })
  }

  #estimate(stats: FileSystemStats): number {
    return diskUsageOf(stats, this.#beforeBytes + this.#sinceBytes).percent
  }
}
