/** Without one slash at each end, as `vault namespace list` shows them. */
export function bareNamespace(namespace: string): string {
  // A pattern like /+$ would look again from each of many slashes.
  return namespace.replace(/^\//, '').replace(/\/$/, '');
}

/** Whether it is names separated by "/"; which characters a header can carry is another question. */
export function isNamespace(bare: string): boolean {
  return bare.length <= 1024 && !bare.split('/').some((part) => ['', '.', '..'].includes(part));
}
