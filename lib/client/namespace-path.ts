import { bareNamespace } from './namespace.js';

/** The name of the root namespace, which servers accept in a header, too. */
const isRoot = (namespace: string) => namespace === '' || namespace === 'root';

/** The text for a namespace in a sentence. */
export const nameOf = (namespace: string) =>
  isRoot(namespace) ? 'the root namespace' : `namespace "${namespace}"`;

/** Prefix that policies of one namespace need for paths in another: '' in their own, undefined out of their reach. */
export function pathBelow(own: string, other: string): string | undefined {
  const bare = (namespace: string) => (isRoot(namespace) ? '' : bareNamespace(namespace));
  const [from, to] = [bare(own), bare(other)];
  if (from === to) return '';
  if (from === '') return `${to}/`;
  return to.startsWith(`${from}/`) ? `${to.slice(from.length + 1)}/` : undefined;
}
