// The file of a backup gets its name when it is whole, and takes nobody's place, with and without hard links.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { fileSink, placeNew } from '../../lib/cli/backup-file.ts'
import { asAspenError } from '../../lib/errors.ts'

/** As `link` answers on a file system of that kind. */
function refusing(code: string) {
  return (): never => {
    throw Object.assign(new Error(code), { code, syscall: 'link' })
  }
}

test('where there are no hard links the file gets its name all the same', async (t) => {
  const folder = await t.tmp()
  for (const code of ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']) {
    const [temporary, path] = [join(folder, `${code}.tmp`), join(folder, code)]
    writeFileSync(temporary, code)
    placeNew(temporary, path, refusing(code))
    t.is(readFileSync(path, 'utf8'), code)
    t.absent(existsSync(temporary))
  }
})

test('another file of that name stays, with and without hard links', async (t) => {
  const folder = await t.tmp()
  const [temporary, path] = [join(folder, 'new.tmp'), join(folder, 'there')]
  writeFileSync(temporary, 'new')
  writeFileSync(path, 'old')
  await t.exception(() => placeNew(temporary, path), /EEXIST/)
  await t.exception(() => placeNew(temporary, path, refusing('EPERM')), /EEXIST/)
  t.is(readFileSync(path, 'utf8'), 'old')
  t.is(readFileSync(temporary, 'utf8'), 'new')
})

test('what is no matter of links is not tried another way', async (t) => {
  const folder = await t.tmp()
  const [temporary, path] = [join(folder, 'new.tmp'), join(folder, 'there')]
  writeFileSync(temporary, 'new')
  await t.exception(() => placeNew(temporary, path, refusing('EIO')), /EIO/)
  t.absent(existsSync(path))
})

test('a sink keeps what is finished, and nothing of what is discarded', async (t) => {
  const path = join(await t.tmp(), 'kept')
  const given = await fileSink(path, false)
  await given.write(Buffer.from('half'))
  t.absent(existsSync(path), 'it has no name yet')
  await given.discard()
  t.alike(readdirSync(join(path, '..')), [])
  const kept = await fileSink(path, false)
  await kept.write(Buffer.from('whole'))
  await kept.finish()
  t.alike(readdirSync(join(path, '..')), ['kept'])
  const late = await fileSink(path, false)
  await late.write(Buffer.from('late'))
  const code = await late.finish().then(
    () => 'done',
    (error: unknown) => asAspenError(error).message
  )
  t.ok(code.includes('exists already'), code)
  await late.discard()
  t.is(readFileSync(path, 'utf8'), 'whole')
  const forced = await fileSink(path, true)
  await forced.write(Buffer.from('newer'))
  await forced.finish()
  t.is(readFileSync(path, 'utf8'), 'newer')
})
