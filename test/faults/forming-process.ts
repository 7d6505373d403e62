// Makes what `aspen restore` and `aspen recover --accept-loss` make on the disk before they start the new
// cluster, and ends at a boundary, if its order (forming-order.ts) names one.

import { present } from '../../lib/assert.ts'
import { DataDirectory } from '../../lib/node/data-directory.ts'
import { recover } from '../../lib/node/recovering.ts'
import { restore, verifiedBackup } from '../../lib/node/restoring.ts'
import { crashAt } from './crash.ts'
import type { FormingOrder } from './forming-order.ts'
import { SMALL_STORAGE } from './small-storage.ts'

const order: FormingOrder = JSON.parse(present(process.argv[2], 'the order'))
const directory = DataDirectory.open(order.dataDir, crashAt(order.crash, order.crossedPath))
const onProgress = (): void => {}
if (order.backup === null) {
  await recover(directory, onProgress)
} else {
  const header = await verifiedBackup(order.backup, onProgress)
  const settings = { name: 'alder', bootstrap: [], timing: null, storage: SMALL_STORAGE }
  await restore(directory, { path: order.backup, header, settings, onProgress })
}
directory.close()
