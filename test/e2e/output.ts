// What a process has written so far.

import type { ChildProcess } from 'node:child_process'

export interface Written {
  stdout(): string
  stderr(): string
}

export function outputOf(child: ChildProcess): Written {
  return { stdout: kept(child.stdout), stderr: kept(child.stderr) }
}

function kept(stream: ChildProcess['stdout']): () => string {
  const chunks: Buffer[] = []
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk))
  return () => Buffer.concat(chunks).toString()
}
