import type { BackendKind, BackendName } from './backend.js';
import { MARIADB } from './mariadb.js';
import { POSTGRES } from './postgres.js';

export const BACKENDS: Readonly<Record<BackendName, BackendKind>> = {
  postgres: POSTGRES,
  mariadb: MARIADB,
};
