import { notFound } from '../server/refusal.js';

/** Answer of a LIST: the names directly below a folder; folders end in a slash. */
export function listKeys(paths: Iterable<string>, folder: string): string[] {
  const keys = keysBelow(paths, folder);
  if (keys.length === 0) throw notFound();
  return keys;
}

/** The names directly below a folder in the order of their bytes, after a name; folders end in a slash. */
export function keysBelow(paths: Iterable<string>, folder: string, after = ''): string[] {
  const prefix = folder === '' || folder.endsWith('/') ? folder : `${folder}/`;
  const keys = new Set<string>();
  for (const path of paths) {
    if (!path.startsWith(prefix)) continue;
    const rest = path.slice(prefix.length);
    const slash = rest.indexOf('/');
    keys.add(slash < 0 ? rest : rest.slice(0, slash + 1));
  }
  const sorted = [...keys].sort(byBytes);
  return after === '' ? sorted : sorted.filter((key) => byBytes(key, after) > 0);
}

/** JavaScript compares UTF-16 units, Go bytes. */
export const byBytes = (one: string, other: string): number =>
  Buffer.compare(Buffer.from(one), Buffer.from(other));
