// What the answers must look like. Checked, because what listens there may be another program or
// another version; compiled at first use, because a command asks one thing only.

import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import * as documents from '../service/documents.ts'
import * as kvDocuments from '../service/kv-documents.ts'

export interface Shape<T> {
  check(value: unknown): value is T
}

interface Checker<T> {
  Check(value: unknown): value is T
}

function shape<T>(compile: () => Checker<T>): Shape<T> {
  let checker: Checker<T> | null = null
  return {
    check(value): value is T {
      checker ??= compile()
      return checker.Check(value)
    }
  }
}

const { revision, changes } = kvDocuments.WriteAnswer.properties
/** Without the echo of the command. */
const WrittenAnswer = Type.Object({ revision, changes })

export const shapes = {
  status: shape(() => Compile(documents.Status)),
  members: shape(() => Compile(documents.Members)),
  health: shape(() => Compile(documents.Health)),
  probe: shape(() => Compile(documents.Probe)),
  newTicket: shape(() => Compile(documents.NewTicket)),
  tickets: shape(() => Compile(documents.Tickets)),
  revoked: shape(() => Compile(Type.Object({ revoked: Type.Literal(true) }))),
  read: shape(() => Compile(kvDocuments.ReadAnswer)),
  written: shape(() => Compile(WrittenAnswer)),
  scan: shape(() => Compile(kvDocuments.ScanAnswer)),
  error: shape(() => Compile(documents.ErrorBody))
}
