// Runs a TypeScript file of the tests in a process of its own, from the sources: node run-typescript.mjs <file>
import { fileURLToPath } from 'node:url';
import { createViteServer } from 'vitest/node';

const root = fileURLToPath(new URL('../..', import.meta.url));
const server = await createViteServer({
  root,
  configFile: `${root}vitest.config.ts`,
  logLevel: 'error',
  appType: 'custom',
  server: { middlewareMode: true, ws: false, hmr: false, watch: null },
  optimizeDeps: { noDiscovery: true, include: [] },
});
const { main } = await server.ssrLoadModule(process.argv[2]);
await main();
// At the end, not before: the dynamic imports of main are loaded from here, too.
await server.close();
