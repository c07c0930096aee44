// npm run docs:capacity: writes the tables of docs/capacity.md, from the formulas in bench/fleet/capacity.ts and from the
// figures of the last `npm run test:capacity -- --write`. test/unit/capacity.spec.ts fails while the page differs.
import { fileURLToPath } from 'node:url';

process.argv.splice(2, 0, fileURLToPath(new URL('../bench/fleet/capacity-page.ts', import.meta.url)));
await import('../test/support/run-typescript.mjs');
