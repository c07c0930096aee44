import type { CliCommand } from './command.js';
import { devCommand } from './dev.js';
import { execCommand } from './exec.js';

/** All commands of the bin, in the order of its help. */
export const COMMANDS: readonly CliCommand[] = [execCommand, devCommand];
