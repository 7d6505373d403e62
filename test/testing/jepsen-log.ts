// The logs that Jepsen writes of a register in etcd, as operations with the times of their ends:
// process, `:invoke` / `:ok` / `:fail` / `:info`, operation, value; the line's number is the time.

import type { Interval } from '../../lib/testing/wing-gong.ts'
import type { RegisterOperation } from '../../lib/testing/register-model.ts'

const LINE = /^INFO +jepsen\.util - (\d+)\t:(invoke|ok|fail|info)\t:(read|write|cas)\t(.+)$/

interface Line {
  readonly at: number
  readonly process: string
  readonly event: string
  readonly operation: string
  readonly value: string
}

interface Invocation {
  readonly line: Line
  readonly end: Line | null
}

/** @throws Error at a line that is none of these, and at an answer to nothing */
export function parseJepsenLog(text: string): Interval<RegisterOperation>[] {
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line, at) => parseLine(line, at))
  const open = new Map<string, Line>()
  const invocations: Invocation[] = []
  for (const line of lines) {
    const begun = open.get(line.process)
    if (line.event === 'invoke') {
      if (begun !== undefined) throw new Error(`process ${line.process} has not ended`)
      open.set(line.process, line)
      continue
    }
    if (begun?.operation !== line.operation) throw new Error(`an answer to nothing: ${line.at}`)
    open.delete(line.process)
    invocations.push({ line: begun, end: line })
  }
  for (const line of open.values()) invocations.push({ line, end: null })
  return invocations.map((one) => intervalOf(one)).filter((one) => one !== null)
}

function parseLine(text: string, at: number): Line {
  const [, process, event, operation, value] = LINE.exec(text) ?? []
  if (process === undefined || event === undefined) throw new Error(`not a line: ${text}`)
  if (operation === undefined || value === undefined) throw new Error(`not a line: ${text}`)
  return { at, process, event, operation, value }
}

/** Null for what says nothing: reads that nobody got an answer to, writes that failed. */
function intervalOf({ line, end }: Invocation): Interval<RegisterOperation> | null {
  const isDone = end === null || end.event === 'info' ? null : end.event === 'ok'
  const returnedAt = end === null || isDone === null ? null : end.at
  const span = { calledAt: line.at, returnedAt }
  switch (line.operation) {
    case 'read':
      if (end === null || isDone !== true) return null
      return { operation: { kind: 'read', value: valueOf(end.value) }, ...span }
    case 'write':
      if (isDone === false) return null
      return { operation: { kind: 'write', value: numberOf(line.value) }, ...span }
    default: {
      const [from, to] = line.value.slice(1, -1).split(' ')
      const operation = { kind: 'cas', from: numberOf(from), to: numberOf(to), isDone } as const
      return { operation, ...span }
    }
  }
}

function valueOf(text: string): number | null {
  return text === 'nil' ? null : numberOf(text)
}

function numberOf(text: string | undefined): number {
  const value = Number(text)
  if (text === undefined || !Number.isInteger(value)) throw new Error(`not a number: ${text}`)
  return value
}
