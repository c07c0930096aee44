/** Removes one slash at each end, as in the output of `vault namespace list`. */
export function bareNamespace(namespace: string): string {
  // A pattern like /+$ would start again at each of many slashes.
  return namespace.replace(/^\//, '').replace(/\/$/, '');
}

/** Whether a namespace consists of names separated by "/"; does not check which characters a header can carry. */
export function isNamespace(bare: string): boolean {
  return bare.length <= 1024 && !bare.split('/').some((part) => ['', '.', '..'].includes(part));
}

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
