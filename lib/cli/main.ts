#!/usr/bin/env node
import { COMMANDS } from './commands.js';
import { Output } from './output.js';
import { runCli } from './run-cli.js';

// A module of the application may print, too. A reader that has gone, as `| head`, must not end the process: its
// credentials would stay.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

const output = new Output();
const code = await runCli(process.argv.slice(2), COMMANDS, {
  env: process.env,
  folder: process.cwd(),
  print: output.print,
  say: output.say,
});
await output.written();
// A module of the application may have left timers and sockets that would keep the process alive.
process.exit(code);
