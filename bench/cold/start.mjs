import { run } from './application.cjs';

const [client, options] = process.argv.slice(2);
await run((name) => import(name), client, JSON.parse(options));
