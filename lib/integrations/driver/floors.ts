/**
 * The oldest version of each driver that its integration supports, one for each major version with a later minimum. All
 * are tested: `npm run test:matrix` takes the first of each. The peer ranges are `*`, as npm would otherwise not
 * install this package in an application that has an older driver and does not use it with Vault.
 */
export const FLOORS = {
  '@mikro-orm/postgresql': ['6.6.16', '7.1.0'],
  'amqp-connection-manager': ['5.0.0'],
  amqplib: ['0.10.0'],
  ioredis: ['5.9.0'],
  knex: ['3.3.0'],
  mongodb: ['6.20.0'],
  mysql2: ['3.23.3'],
  pg: ['8.16.3'],
  redis: ['6.2.1'],
  sequelize: ['6.37.0'],
  typeorm: ['0.3.20'],
} as const satisfies Record<string, readonly [string, ...string[]]>;

/** Name of the package. */
export type DriverName = keyof typeof FLOORS;

/** The floor for a version, and whether the version reaches it. */
export function floorFor(name: DriverName, version: string): { floor: string; reached: boolean } {
  const floors: readonly string[] = FLOORS[name];
  const [major] = numbers(version);
  const floor = floors.findLast((one) => numbers(one)[0] <= major) ?? (floors[0] as string);
  return { floor, reached: !isOlder(version, floor) };
}

function isOlder(version: string, floor: string): boolean {
  const given = numbers(version);
  const least = numbers(floor);
  const differs = least.findIndex((number, index) => number !== given[index]);
  return differs >= 0 && (given[differs] as number) < (least[differs] as number);
}

/** Ignores the part after the patch number: a prerelease of the minimum version counts as that version. */
function numbers(version: string): [number, number, number] {
  const [major = 0, minor = 0, patch = 0] = version
    .split(/[.+-]/, 3)
    .map((part) => Number.parseInt(part, 10) || 0);
  return [major, minor, patch];
}
