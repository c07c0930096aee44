/** Fields whose numbers depend on the time. */
const MOMENTS = new Set(['creation_time', 'last_renewal_time', 'server_time_utc', 'ttl']);
/** Fields whose texts differ from server to server. */
const OWN = new Set(['request_id', 'cluster_name', 'cluster_id', 'version', 'password', 'id', 'uuid']);
const KINDS: [RegExp, string][] = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>'],
  [/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/g, '<time>'],
  [/\b[sb]\.[0-9A-Za-z._-]{24,}/g, '<token>'],
  // A second may have begun meanwhile.
  [/(?<=effective max_ttl of ")\d[^"]*(?=")/g, '<ttl>'],
  [/v-[a-z]+-[0-9A-Za-z]+-[0-9A-Za-z]{20}-\d+/g, '<user>'],
  [/\b[0-9A-Za-z]{24}\b(\.[0-9A-Za-z]{6})?/g, '<id>'],
];

/** An answer with placeholders for all values that differ between two servers. */
export function normalise(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => normalise(one, key));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([name, field]) => [normalise(name), normalise(field, name)]),
    );
  }
  if (typeof value === 'number') return MOMENTS.has(key) && value > 0 ? '<n>' : value;
  if (typeof value !== 'string') return value;
  // Emptiness is part of the comparison.
  if (OWN.has(key) && value !== '') return `<${key}>`;
  return KINDS.reduce((text, [pattern, kind]) => text.replace(pattern, kind), value);
}
