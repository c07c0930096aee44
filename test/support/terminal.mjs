import { spawnSync } from 'node:child_process';

/** What the keys of a terminal send. */
export const KEYS = { 'Ctrl+C': '\x03', 'Ctrl+\\': '\x1c' };

/** Python has pseudo-terminals. A signal that ends the program is 128 and its number, as in a shell. */
const SCRIPT = `
import os, pty, sys
code = os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:]))
sys.exit(code if code >= 0 else 128 - code)`;

/**
 * The begin of a command line whose program runs on a terminal of its own, in the foreground. Bytes of its standard input
 * are keys. Undefined without Python 3.9.
 */
export const onTerminal =
  process.platform !== 'win32' &&
  spawnSync('python3', ['-c', 'import os, pty; os.waitstatus_to_exitcode']).status === 0
    ? ['python3', '-c', SCRIPT]
    : undefined;
