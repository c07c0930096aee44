import fs, { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The contents of a file, or the reason why it cannot be read. */
export type Content = Buffer | { readonly failure: string };

/** A path in the options; a folder stands for the certificates of its files if `folder` allows one. */
export interface TlsFile {
  readonly path: string;
  readonly folder: boolean;
}

/** Reads a file at the start, which does not wait. */
export function readNow({ path, folder }: TlsFile): Content {
  try {
    return readFileSync(path);
  } catch (error) {
    if (!folder || codeOf(error) !== 'EISDIR') return { failure: codeOf(error) };
  }
  try {
    return joined(
      inFolder(path, readdirSync(path, { withFileTypes: true })).map((file) => readFileSync(file)),
    );
  } catch (error) {
    return { failure: codeOf(error) };
  }
}

/** Reads a file again, later. */
export async function readLater({ path, folder }: TlsFile): Promise<Content> {
  try {
    return await fs.promises.readFile(path);
  } catch (error) {
    if (!folder || codeOf(error) !== 'EISDIR') return { failure: codeOf(error) };
  }
  try {
    const files = inFolder(path, await fs.promises.readdir(path, { withFileTypes: true }));
    return joined(await Promise.all(files.map((file) => fs.promises.readFile(file))));
  } catch (error) {
    return { failure: codeOf(error) };
  }
}

export function isSame(one: Content | undefined, other: Content | undefined): boolean {
  if (Buffer.isBuffer(one) && Buffer.isBuffer(other)) return one.equals(other);
  return !Buffer.isBuffer(one) && !Buffer.isBuffer(other) && one?.failure === other?.failure;
}

interface Entry {
  readonly name: string;
  isDirectory(): boolean;
}

/** The files in a folder, in a fixed order. Mounted volumes keep their versions in entries that begin with a dot. */
function inFolder(folder: string, entries: readonly Entry[]): string[] {
  const files = entries.filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'));
  return files.map(({ name }) => join(folder, name)).sort();
}

/** The files with certificates as one: a folder of authorities has others, too, as a README or revocation lists. */
function joined(contents: readonly Buffer[]): Content {
  const own = contents.filter((content) => content.includes('CERTIFICATE-----'));
  if (own.length === 0) return { failure: 'no certificates in this folder' };
  return Buffer.concat(own.flatMap((content) => [content, Buffer.from('\n')]));
}

function codeOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : 'unknown error';
}
