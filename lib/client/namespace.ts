/** Removes one slash at each end, as in the output of `vault namespace list`. */
export function bareNamespace(namespace: string): string {
  // A pattern like /+$ would start again at each of many slashes.
  return namespace.replace(/^\//, '').replace(/\/$/, '');
}

/** Whether a namespace consists of names separated by "/"; does not check which characters a header can carry. */
export function isNamespace(bare: string): boolean {
  return bare.length <= 1024 && !bare.split('/').some((part) => ['', '.', '..'].includes(part));
}
