// How a test says that it cannot run on this machine. The capability is probed here, not
// assumed, and the runner lists every skip with its reason; a skipped test is not counted as
// passed. First line of a test, before any assertion:
//
//   if (isSkipped(t, 'network-namespaces')) return

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'

/** What some machines lack. */
export type Capability =
  'ipv6-loopback' | 'mount-namespaces' | 'mounts' | 'network-namespaces' | 'unprivileged' | 'unix'

/** The slice of brittle's assert that is needed to say so. */
interface Commenter {
  comment(message: string): void
}

const PROBES: Readonly<Record<Capability, () => string | null>> = {
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
