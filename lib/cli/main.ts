#!/usr/bin/env node
import type { CliCommand } from './command.js';
import { devCommand } from './dev.js';
import { runCli } from './run-cli.js';

const COMMANDS: readonly CliCommand[] = [devCommand];

const code = await runCli(process.argv.slice(2), COMMANDS, {
  env: process.env,
  folder: process.cwd(),
  print: (line) => void process.stdout.write(`${line}\n`),
  say: (line) => void process.stderr.write(`${line}\n`),
});
// A module of the application may have left timers and sockets that would keep the process alive.
process.exit(code);
