// The end of a node: everything is closed once, in reverse, whatever fails on the way.

import test from 'brittle'
import { EXIT, StorageError } from '../../lib/errors.ts'
import { Ending } from '../../lib/node/ending.ts'

function open() {
  const closed: string[] = []
  const failed: unknown[] = []
  const ending = new Ending((error) => failed.push(error))
  const add = (name: string): void => ending.add(() => void closed.push(name))
  return { closed, failed, ending, add }
}

const ioError = new StorageError({ code: 'IO_ERROR', message: 'planted' })

test('everything is closed once, in reverse, after what comes first', async (t) => {
  const { closed, ending, add } = open()
  for (const name of ['a', 'b', 'c']) add(name)
  await Promise.all([ending.end(() => void closed.push('first')), ending.end(), ending.end()])
  await ending.end(() => t.fail('it is over'))
  t.alike(closed, ['first', 'c', 'b', 'a'])
  t.is(await ending.exitCode, EXIT.ok)
})

test('whoever ends it waits until it has ended', async (t) => {
  const { closed, ending, add } = open()
  add('slow')
  let go = (): void => {}
  const first = ending.end(
    () =>
      new Promise<void>((resolve) => {
        go = resolve
      })
  )
  const second = ending.end().then(() => closed.push('second'))
  t.alike(closed, [])
  go()
  await Promise.all([first, second])
  t.alike(closed, ['slow', 'second'])
})

test('a part that cannot be closed keeps no other from it, and is told', async (t) => {
  const { closed, failed, ending, add } = open()
  const [thrown, rejected] = [new Error('thrown'), new Error('rejected')]
  add('a')
  ending.add(() => {
    throw thrown
  })
  add('b')
  ending.add(() => Promise.reject(rejected))
  await ending.end(() => Promise.reject(new Error('first')))
  t.alike(closed, ['b', 'a'])
  t.is(failed.length, 3)
  t.ok(failed.includes(thrown) && failed.includes(rejected))
  t.is(await ending.exitCode, EXIT.failed)
})

test('a failure ends it with its own code; the first one counts', async (t) => {
  const { closed, ending, add } = open()
  add('a')
  ending.fail(ioError)
  ending.fail(new StorageError({ code: 'NO_SPACE', message: 'later' }))
  t.is(await ending.exitCode, EXIT.ioError)
  t.is(ending.failure, ioError)
  t.alike(closed, ['a'])
})

test('a failure while it is being closed decides the code too', async (t) => {
  const { ending } = open()
  ending.add(() => ending.fail(ioError))
  await ending.end()
  t.is(await ending.exitCode, EXIT.ioError)
})

test('what is opened meanwhile, or afterwards, is closed all the same', async (t) => {
  const { closed, ending, add } = open()
  ending.add(() => add('meanwhile'))
  await ending.end()
  add('afterwards')
  t.alike(closed, ['meanwhile', 'afterwards'])
})
