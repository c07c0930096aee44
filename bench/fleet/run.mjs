// npm run bench:fleet: fleets of this package and of other clients against one simulated server, in virtual time.
//   --instances N   number of instances (default 10000; with that or more, docs/internals/fleet.md and its chart are
//                   written)
//   --quick         500 instances, in a few seconds
import { fileURLToPath } from 'node:url';
import { ensureInstalled } from '../../scripts/ensure-installed.mjs';

await ensureInstalled();
process.argv.splice(2, 0, fileURLToPath(new URL('main.ts', import.meta.url)));
await import('../../test/support/run-typescript.mjs');
