// `aspen/testing`: what Aspen tests itself with, for the tests of programs that use it.

export { SeededRandom } from '../random.ts'
export { MemoryCluster, MemoryNode } from './memory-cluster.ts'
export type { MemoryClusterOptions } from './memory-cluster.ts'
export { NodeTime } from './node-time.ts'
export type { NodeTimeOptions } from './node-time.ts'
export { VirtualTime } from './virtual-time.ts'
