// Before npm packs or publishes: what is published is built, also in a fresh clone.
import { ensureBuilt, ensureInstalled } from './ensure-installed.mjs';

await ensureInstalled();
await ensureBuilt();
