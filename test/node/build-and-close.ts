// A program that builds a node, uses and closes it, and has nothing more to do: it must end by itself.
// Started by aspen-builder.test.ts with a folder and a bootstrap node; it imports what users import.

import { AspenBuilder } from '../../lib/index.ts'

const [folder = '', bootstrap = ''] = process.argv.slice(2)
const node = await new AspenBuilder(folder).withBootstrap([bootstrap]).start()
await node.client().write({ command: { Set: { key: 'k', value: 'v' } } })
const { value } = await node.client().read({ key: 'k' })
await node.close()
const said = { value: new TextDecoder().decode(value), exitCode: await node.closed }
process.stdout.write(`${JSON.stringify(said)}\n`)
