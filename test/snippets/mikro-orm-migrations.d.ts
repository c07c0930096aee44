/** Not installed: only the page on MikroORM uses it, which test/installs/command-lines.mjs runs. */
declare module '@mikro-orm/migrations' {
  import type { Constructor, IMigrator } from '@mikro-orm/core';

  export const Migrator: { register(orm: unknown): void } & Constructor<IMigrator>;
}
