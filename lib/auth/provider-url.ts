/** Parses the address of a provider; a problem replaces it by one that is never asked. */
export function providerUrl(owner: string, option: string, address: unknown, problems: string[]): URL {
  const url = typeof address === 'string' && URL.canParse(address) ? new URL(address) : undefined;
  if (url && /^https?:$/.test(url.protocol)) return new URL(url.href.replace(/\/*$/, '/'));
  problems.push(`\`auth: ${owner}\` has a \`${option}\` that is not an http or https address`);
  return new URL('http://invalid.');
}
