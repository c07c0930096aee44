import { bareNamespace } from '../config/namespace.js';

/** How servers name the root in a header, too. */
const isRoot = (namespace: string) => namespace === '' || namespace === 'root';

/** A namespace in a sentence. */
export const nameOf = (namespace: string) =>
  isRoot(namespace) ? 'the root namespace' : `namespace "${namespace}"`;

/** How policies of one namespace begin the paths in another: nothing in their own, and none where they do not reach. */
export function pathBelow(own: string, other: string): string | undefined {
  const bare = (namespace: string) => (isRoot(namespace) ? '' : bareNamespace(namespace));
  const [from, to] = [bare(own), bare(other)];
  if (from === to) return '';
  if (from === '') return `${to}/`;
  return to.startsWith(`${from}/`) ? `${to.slice(from.length + 1)}/` : undefined;
}
