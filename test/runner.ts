// Runs the test suite: `node dist/test/runner.js [part…]`. One process per file, because brittle
// dies without a summary on a throw and must not take other files with it; several at a time, and
// what is to be said about a file is printed in one piece when it has ended. A file that is empty,
// crashes, hangs or ends without a summary counts as failed. The last line is always
// `N passed, N failed`. The parts are in runner/parts.ts; how a test says that it could not run,
// in skip.ts.
//
//   --jobs N      files at a time, in place of the table's
//   --limit S     seconds that each file may take, in place of the table's
//   --root DIR    where the compiled test files are (this file's folder)

import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { selectFiles } from './runner/parts.ts'
import type { Batch } from './runner/parts.ts'
import { killAll, runFile } from './runner/run-file.ts'
import type { FileResult } from './runner/run-file.ts'

interface Settings {
  readonly root: string
  readonly limitMs: number | null
}

interface Finished {
  readonly path: string
  readonly result: FileResult
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      root: { type: 'string', default: import.meta.dirname },
      jobs: { type: 'string' },
      limit: { type: 'string' }
    }
  })
  const settings: Settings = {
    root: values.root,
    limitMs: values.limit === undefined ? null : Number(values.limit) * 1_000
  }
  const jobs = values.jobs === undefined ? null : Math.max(1, Number(values.jobs) || 1)
  const isFull = process.env['ASPEN_FULL'] === '1'
  const { batches, unknownParts } = selectFiles(settings.root, positionals, { isFull, jobs })
  for (const part of unknownParts) console.log(`no test file belongs to the part ${part}`)
  const finished: Finished[] = []
  for (const batch of batches) finished.push(...(await runBatch(batch, settings)))
  const emptyCount = batches.length === 0 && unknownParts.length === 0 ? 1 : 0
  if (emptyCount === 1) console.log('there is no test file at all')
  printSummary(finished, unknownParts.length + emptyCount)
}

/** Runs the files of a batch and prints what there is to say about each as it ends. */
async function runBatch({ files, jobs }: Batch, settings: Settings): Promise<Finished[]> {
  const waiting = [...files]
  const finished: Finished[] = []
  const work = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await runFile(join(settings.root, file.path), settings.limitMs ?? file.limitMs)
      printFile(file.path, result)
      finished.push({ path: file.path, result })
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
  return finished
}

function printFile(path: string, result: FileResult): void {
  const mark = result.failure === null ? 'ok  ' : 'FAIL'
  const seconds = `${(result.durationMs / 1_000).toFixed(1)} s`
  const failure = result.failure === null ? '' : `  ${result.failure}`
  console.log(`${mark}  ${path}  ${result.passed} passed  ${seconds}${failure}`)
  if (result.failure === null) return
  for (const line of result.tail) console.log(`      | ${line}`)
}

function printSummary(finished: readonly Finished[], failedBefore: number): void {
  const ordered = finished.toSorted((a, b) => (a.path < b.path ? -1 : 1))
  const skips = ordered.flatMap(({ path, result }) =>
    result.skips.map((skip) => `  ${path}: ${skip.test}: ${skip.reason}`)
  )
  const failures = ordered.filter(({ result }) => result.failure !== null)
  for (const { path, result } of failures) console.log(`failed: ${path}: ${result.failure}`)
  console.log(`skipped: ${skips.length}`)
  for (const line of skips) console.log(line)
  const passed = ordered.reduce((sum, { result }) => sum + result.passed, 0)
  const failed = ordered.reduce((sum, { result }) => sum + result.failed, failedBefore)
  process.exitCode = failed === 0 ? 0 : 1
  console.log(`${passed} passed, ${failed} failed`)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    killAll()
    process.exit(signal === 'SIGINT' ? 130 : 143)
  })
}

await main()
