// How a test says that it cannot run on this machine. The capability is probed here, not
// assumed, and the runner lists every skip with its reason; a skipped test is not counted as
// passed. First line of a test, before any assertion:
//
//   if (isSkipped(t, 'network-namespaces')) return

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmdirSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'

/** What some machines lack. */
export type Capability =
  | 'faketime'
  | 'ipv6-loopback'
  | 'mount-namespaces'
  | 'mounts'
  | 'network-namespaces'
  | 'strace'
  | 'unprivileged'
  | 'unix'

/** The slice of brittle's assert that is needed to say so. */
interface Commenter {
  comment(message: string): void
}

const PROBES: Readonly<Record<Capability, () => string | null>> = {
  faketime: () =>
    fakeTimeLibrary() === null ? 'this machine has no libfaketime (apt install libfaketime)' : null,
  'ipv6-loopback': () =>
    hasAddress('::1') ? null : 'this machine has no IPv6 loopback address ::1',
  'mount-namespaces': () =>
    spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', tmpdir()]).status === 0
      ? null
      : 'this machine lets nobody make mount namespaces (unshare -rm)',
  mounts: () => (mountsHere() ? null : 'this user may not mount file systems (mount -t tmpfs)'),
  'network-namespaces': () =>
    spawnSync('unshare', ['-rn', 'true']).status === 0
      ? null
      : 'this machine lets nobody make network namespaces (unshare -rn)',
  strace: () =>
    spawnSync('strace', ['-f', '--seccomp-bpf', '-e', 'inject=fsync:error=EIO', 'true']).status ===
    0
      ? null
      : 'this machine has no strace that may watch its own children (apt install strace)',
  unprivileged: () =>
    process.getuid?.() === 0 ? 'running as root, to whom file permissions do not apply' : null,
  unix: () =>
    process.platform === 'win32' ? 'Windows has neither signals nor file permissions' : null
}

/** Whether the test must end here; says so in its output with the reason. */
export function isSkipped(t: Commenter, capability: Capability): boolean {
  const reason = PROBES[capability]()
  if (reason !== null) t.comment(`skip: ${reason}`)
  return reason !== null
}

/** The library that gives a process a clock of its own, where packages put it; null when it is not there. */
export function fakeTimeLibrary(): string | null {
  const places = FAKE_TIME_FOLDERS.map((folder) => join(folder, 'faketime', 'libfaketime.so.1'))
  return places.find((place) => existsSync(place)) ?? null
}

const FAKE_TIME_FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib'
]

function mountsHere(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  const folder = mkdtempSync(join(tmpdir(), 'aspen-mount-'))
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', 'none', folder]).status === 0
  if (isMounted) spawnSync('umount', [folder])
  rmdirSync(folder)
  return isMounted
}

function hasAddress(address: string): boolean {
  return Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .some((entry) => entry.address === address)
}
