import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** A pipe for the output of a process, on Linux. `end` is its file descriptor; nobody reads it before `read()`. */
export function unreadPipe(folder) {
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  // Its own flags: the process has a pipe that blocks.
  const own = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const end = openSync(path, 'w');
  rmSync(path);
  const text = [];
  let timer;
  const readAll = () => {
    const bytes = Buffer.alloc(65_536);
    untilAgain(() => text.push(bytes.toString('utf8', 0, readSync(own, bytes))));
  };
  return {
    end,
    /** From now on the next byte waits for a reader. */
    fill() {
      for (const size of [4_096, 1]) untilAgain(() => writeSync(own, '\n'.repeat(size)));
    },
    read() {
      timer = setInterval(readAll, 20);
    },
    /** Returns all that was written. */
    close() {
      clearInterval(timer);
      readAll();
      for (const file of [own, end]) closeSync(file);
      return text.join('');
    },
  };
}

function untilAgain(work) {
  try {
    for (;;) work();
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error;
  }
}
