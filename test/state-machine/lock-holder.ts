// A process that locks argv[2], says `held` or the code of the refusal, and stays until it is killed.

import { asAspenError } from '../../lib/errors.ts'
import { acquireLock } from '../../lib/state-machine/sqlite-lock.ts'

try {
  acquireLock(process.argv[2] ?? '')
  console.log('held')
} catch (error) {
  console.log(asAspenError(error).code)
}
setInterval(() => {}, 60_000)
