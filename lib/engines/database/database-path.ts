import { barePath, encodeMount, encodeSegment } from '../../client/path.js';

/** The path at which credentials of a database role are issued: checked, not encoded. */
export function databasePath(role: string, mount = 'database'): string {
  encodeMount(mount);
  encodeSegment(role, 'role');
  return `${barePath(mount)}/creds/${role}`;
}
