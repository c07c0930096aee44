import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';

/** Begin of the names of all folders with secrets of a command. */
const NAME = 'nestjs-vault-';
const FOLDER = /^nestjs-vault-([0-9a-f]{16})-(\d+)-(\d+)-\w+$/;

/** A process: its number, and when it started, as numbers are used again. */
interface ProcessId {
  /** The machine, its boot, and the container: numbers of processes mean something there alone. */
  readonly space: string;
  readonly pid: string;
  readonly start: string;
}

/** Begin of the name of a folder of this process. Only on Linux does it name the process. */
export function folderPrefix(): string {
  const own = thisProcess();
  return own ? `${NAME}${own.space}-${own.pid}-${own.start}-` : NAME;
}

/** Whether {@link removeLeftFolders} of a later run finds the folders of this process. */
export const areFound = (): boolean => thisProcess() !== undefined;

/**
 * Removes the folders in `parent` whose processes are gone, as after SIGKILL. Each is a folder of the same user, made on
 * this machine since it booted, and in the same container. No symlink is followed.
 */
export function removeLeftFolders(parent: string): void {
  const own = thisProcess();
  if (!own) return;
  for (const name of namesIn(parent)) {
    const [, space, pid, start] = FOLDER.exec(name) ?? [];
    if (space === own.space && pid !== undefined && !runs(pid, start)) removeFolder(join(parent, name));
  }
}

/** As /proc sees it, which is that of another container in rare cases, and then not as `process.pid`. */
function thisProcess(): ProcessId | undefined {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const start = startIn(stat);
    const [pid] = stat.split(' ', 1);
    const parts = [
      readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'),
      readlinkSync('/proc/self/ns/pid'),
      statSync('/proc').dev,
    ];
    const space = createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16);
    return pid !== undefined && start !== undefined ? { space, pid, start } : undefined;
  } catch {
    return undefined;
  }
}

/** The 22nd field: the name of the program before it, in brackets, can contain blanks and brackets. */
const startIn = (stat: string): string | undefined => stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];

/** In doubt, it runs. */
function runs(pid: string, start: string | undefined): boolean {
  try {
    return startIn(readFileSync(`/proc/${pid}/stat`, 'utf8')) === start;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'ENOENT' && code !== 'ESRCH';
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** By its descriptor, so that no other user can put another folder, or a symlink, in its place meanwhile. */
function removeFolder(path: string): void {
  try {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      const { uid, mode } = fstatSync(descriptor);
      if (uid !== process.geteuid?.() || (mode & 0o077) !== 0) return;
      const inside = `/proc/self/fd/${descriptor}`;
      for (const name of readdirSync(inside)) unlinkSync(join(inside, name));
    } finally {
      closeSync(descriptor);
    }
    rmdirSync(path);
  } catch {
    // It is not ours, or another run removes it at the same time.
  }
}
