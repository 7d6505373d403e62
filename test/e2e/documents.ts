// What tests look at in the JSON that commands print.

import type { JsonObject, Lab } from './lab.ts'

export function recordOf(value: unknown): JsonObject {
  if (typeof value !== 'object' || value === null) throw new Error('an object expected')
  return Object.fromEntries(Object.entries(value))
}

/** Of what `create`, `join`, `start` and `status` print. */
export function nodeOf(document: JsonObject): { readonly id: number } {
  return { id: Number(recordOf(document['node'])['id']) }
}

export function clusterOf(document: JsonObject): { readonly id: string } {
  return { id: String(recordOf(document['cluster'])['id']) }
}

/** The tickets that the machine lists. */
export async function ticketRows(lab: Lab, machine: string): Promise<JsonObject[]> {
  const { tickets } = await lab.json(machine, ['ticket', 'list'])
  return Array.isArray(tickets) ? tickets.map(recordOf) : []
}
