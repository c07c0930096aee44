// Runs before npm packs or publishes: builds the package, also in a fresh clone.
import { ensureBuilt, ensureInstalled } from './ensure-installed.mjs';

await ensureInstalled();
await ensureBuilt();
